# Cargo knows what has changed.
CARGO_TARGET_DIR ?= $(phplibdir)/../target

$(phplibdir)/stream_socket.so: stream_socket_build
	$(mkinstalldirs) $(phplibdir)
	cp $(CARGO_TARGET_DIR)/release/libstream_socket_php.so $@

stream_socket_build:
	cd $(srcdir) && PHP_CONFIG=$(PHP_CONFIG) $(CARGO) build --release --locked \
		--package stream-socket-php --target-dir $(CARGO_TARGET_DIR)

.PHONY: stream_socket_build
