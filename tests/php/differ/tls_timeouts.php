<?php
// The time limit of reads over TLS, which stock PHP tells of for ever, and how writing ends.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$context = serving();
$file = stream_context_get_options($context)['ssl']['local_cert'];
$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);
$child = beside(function () use ($name, $file) {
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    fwrite($client, "hello\n");
    fgets($client);
    fwrite($client, "late\n");
    fgets($client);
    // Past PHP's TLS, which can't tell the two apart.
    $left = stream_socket_recvfrom($client, 100);
    fwrite($client, $left === '' ? "cut\n" : "close_notify\n");
    fgets($client);
});
$served = stream_socket_accept($server, 60);
say(fgets($served));
stream_set_timeout($served, 0, 30000);
say(fgets($served), stream_get_meta_data($served)['timed_out']);
fwrite($served, "now\n");
await($served, 5);
say(fgets($served), stream_get_meta_data($served)['timed_out']);
fwrite($served, "bye\n");
stream_set_timeout($served, 5);
say(stream_socket_shutdown($served, STREAM_SHUT_WR), fgets($served));
fclose($served);
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);
