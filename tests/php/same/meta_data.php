<?php
// The meta data that PHP itself tells of a stream: those of PHP 8.4 have its URL too.
require __DIR__ . '/../report.php';

function tell(mixed $stream): void
{
    $facts = stream_get_meta_data($stream);
    unset($facts['socket']);
    say($facts);
}

$path = socket_path();
foreach (['tcp://127.0.0.1:0', "unix://$path"] as $url) {
    $listener = stream_socket_server($url);
    $address = strtok($url, ':') . '://' . stream_socket_get_name($listener, false);
    $client = stream_socket_client($address);
    $served = stream_socket_accept($listener, 5);
    fwrite($client, "one\ntwo\n");
    fgets($served);
    array_map(tell(...), [$listener, $client, $served]);
}
$server = stream_socket_server('udp://127.0.0.1:0', $code, $text, STREAM_SERVER_BIND);
$client = stream_socket_client('udp://' . stream_socket_get_name($server, false));
array_map(tell(...), [$server, $client, fsockopen($address), pfsockopen($address)]);
