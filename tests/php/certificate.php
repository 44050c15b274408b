<?php
/** A file with a new certificate for localhost and its key, gone when the script is. */
function certificate(int $bits = 2048): string
{
    $key = openssl_pkey_new(['private_key_bits' => $bits]);
    $request = openssl_csr_new(['commonName' => 'localhost'], $key);
    openssl_x509_export(openssl_csr_sign($request, null, $key, 1), $certificate);
    openssl_pkey_export($key, $secret);
    $file = tempnam(sys_get_temp_dir(), 'tls');
    file_put_contents($file, $certificate . $secret);
    $owner = getmypid();
    register_shutdown_function(fn () => $owner === getmypid() && unlink($file));
    return $file;
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
