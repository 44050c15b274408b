dnl For `phpize` and PIE: cargo builds the extension, for the PHP whose php-config is given.
PHP_ARG_ENABLE([stream_socket],
  [whether to enable stream_socket],
  [AS_HELP_STRING([--disable-stream_socket], [Do not build the extension])],
  [yes])

if test "$PHP_STREAM_SOCKET" != "no"; then
  AC_PATH_PROG([CARGO], [cargo])
  if test -z "$CARGO"; then
    AC_MSG_ERROR([cannot find cargo, which comes with Rust: https://www.rust-lang.org/tools/install])
  fi
  PHP_SUBST([CARGO])
  PHP_SUBST([PHP_CONFIG])
  PHP_MODULES="$PHP_MODULES \$(phplibdir)/stream_socket.so"
  PHP_ADD_BUILD_DIR([$abs_builddir/modules])
  PHP_ADD_MAKEFILE_FRAGMENT([$abs_srcdir/Makefile.frag], [$abs_srcdir], [$abs_builddir])
fi
