<?php
/** The kind of key that is found at once, also under valgrind. */
const KEY = ['curve_name' => 'prime256v1', 'private_key_type' => OPENSSL_KEYTYPE_EC];
const KEY_OF_RSA = ['private_key_bits' => 2048];

/** A new key. One of RSA is another PHP's: valgrind, which does not follow it there, would take twenty seconds. */
function new_key(array $kind): OpenSSLAsymmetricKey
{
    if ($kind !== KEY_OF_RSA) {
        return openssl_pkey_new($kind);
    }
    $code = 'openssl_pkey_export(openssl_pkey_new(' . var_export($kind, true) . '), $text); echo $text;';
    return openssl_pkey_get_private(shell_exec(PHP_BINARY . ' -n -r ' . escapeshellarg($code)));
}

/** A file with a new certificate for localhost and its key, gone when the script is. */
function certificate(array $key = KEY): string
{
    $key = new_key($key);
    $request = openssl_csr_new(['commonName' => 'localhost'], $key);
    openssl_x509_export(openssl_csr_sign($request, null, $key, 1), $certificate);
    openssl_pkey_export($key, $secret);
    return holding($certificate . $secret);
}

/** A file, gone when the script is. */
function holding(string $text): string
{
    $file = tempnam(sys_get_temp_dir(), 'tls');
    file_put_contents($file, $text);
    $owner = getmypid();
    register_shutdown_function(fn () => $owner === getmypid() && unlink($file));
    return $file;
}

/** Certificates, each from the one before or from itself: the key, the certificate and a file of both. */
function issue(string $name, ?array $by = null, string $kind = 'v3_ca', array $above = []): array
{
    $key = openssl_pkey_new(KEY);
    $extensions = ['x509_extensions' => $kind, 'digest_alg' => 'sha256'];
    $request = openssl_csr_new(['commonName' => $name], $key, $extensions);
    $signer = $by['key'] ?? $key;
    $made = openssl_csr_sign($request, $by['certificate'] ?? null, $signer, 2, $extensions, random_int(1, 1 << 30));
    openssl_x509_export($made, $text);
    openssl_pkey_export($key, $secret);
    $chain = implode('', array_column($above, 'text'));
    return ['key' => $key, 'certificate' => $made, 'text' => $text, 'file' => holding($text . $secret . $chain)];
}

/** A folder of authorities with this one alone, as capath has it, gone when the script is. */
function folder_of(array $authority): string
{
    $folder = tempnam(sys_get_temp_dir(), 'tls');
    unlink($folder);
    mkdir($folder);
    openssl_x509_export_to_file($authority['certificate'], "$folder/" . openssl_x509_parse($authority['certificate'])['hash'] . '.0');
    $owner = getmypid();
    register_shutdown_function(function () use ($folder, $owner) {
        if ($owner === getmypid()) {
            array_map('unlink', glob("$folder/*"));
            rmdir($folder);
        }
    });
    return $folder;
}

/** The context of a server. */
function serving(array $options = []): mixed
{
    return stream_context_create(['ssl' => $options + ['local_cert' => certificate()]]);
}

/** The context of a client that trusts the certificate in a file. */
function trusting(string $file, array $options = []): mixed
{
    return stream_context_create(['ssl' => $options + ['cafile' => $file, 'peer_name' => 'localhost']]);
}

/** The context of a client that trusts anybody. */
function careless(array $options = []): mixed
{
    return stream_context_create(['ssl' => $options + ['verify_peer' => false, 'verify_peer_name' => false]]);
}

/** Runs a client in a child, which nothing of the script outlives. */
function beside(callable $client): int
{
    $child = pcntl_fork();
    if ($child === 0) {
        try {
            $client();
        } finally {
            posix_kill(posix_getpid(), SIGKILL);
        }
    }
    return $child;
}

/** Both ends of a connection over TLS, the server's first, in one process; null where it is refused. */
function shaken(array $server_options, array $client_options): array
{
    $context = stream_context_create(['ssl' => $server_options]);
    $listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
    $name = stream_socket_get_name($listener, false);
    $client = stream_socket_client("tcp://$name", context: careless($client_options));
    $served = stream_socket_accept($listener, 5);
    stream_set_blocking($client, false);
    stream_set_blocking($served, false);
    [$ours, $theirs] = [0, 0];
    while ($ours === 0) {
        $theirs = $theirs === 0 ? @stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT) : $theirs;
        $ours = @stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER);
    }
    return $ours ? [$served, $client] : [null, null];
}
