<?php
// Sessions that a client resumes, and such as it can't.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$certificate = issue('localhost')['file'];
foreach ([
    'tickets' => [],
    'none' => ['no_ticket' => true],
    'none, as PHP 8.6 says it' => ['num_tickets' => 0],
] as $kind => $options) {
    $options += ['local_cert' => $certificate, 'crypto_method' => STREAM_CRYPTO_METHOD_TLSv1_2_SERVER];
    $context = stream_context_create(['ssl' => $options]);
    $server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
    $name = stream_socket_get_name($server, false);
    $child = beside(function () use ($name) {
        $first = stream_socket_client("tls://$name", $number, $text, 30, 4, careless());
        fgets($first);
        $second = stream_socket_client("tcp://$name", $number, $text, 30, 4, careless());
        stream_socket_enable_crypto($second, true, STREAM_CRYPTO_METHOD_TLS_CLIENT, $first);
        fgets($second);
    });
    $resumed = [];
    foreach (['first', 'second'] as $connection) {
        $served = stream_socket_accept($server, 30);
        $resumed[$connection] = stream_get_meta_data($served)['crypto']['session_reused'];
        fwrite($served, "hello\n");
    }
    pcntl_waitpid($child, $status);
    say($kind, $resumed);
}
