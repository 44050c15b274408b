<?php
// TLS, switched on later and from the start: by PHP's own transport, to which the stream is handed.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$server_context = serving();
$client_context = trusting(stream_context_get_options($server_context)['ssl']['local_cert']);
foreach (['tcp', 'tls'] as $transport) {
    $listener = stream_socket_server("$transport://127.0.0.1:0", $number, $text, 12, $server_context);
    $address = "$transport://" . stream_socket_get_name($listener, false);
    $child = pcntl_fork();
    if ($child === 0) {
        $client = stream_socket_client($address, $number, $text, 60, 4, $client_context);
        if ($transport === 'tcp') {
            fgets($client);
            stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
        }
        fwrite($client, "over $transport\n");
        fgets($client);
        posix_kill(posix_getpid(), SIGKILL);
    }
    $served = stream_socket_accept($listener, 60);
    if ($transport === 'tcp') {
        fwrite($served, "begin\n");
        say(stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));
    }
    say(fgets($served), stream_get_meta_data($served)['crypto']['protocol']);
    say(stream_get_meta_data($served)['stream_type'], fwrite($served, "end\n"));
    pcntl_waitpid($child, $status);
}
say(@stream_socket_enable_crypto(stream_socket_client('udp://127.0.0.1:9'), true, 57));
