<?php
// Section 1 of PHP's rules: how an address is taken apart. Why a server failed is `differ/errno`.
require __DIR__ . '/../report.php';

/** What a server or a client of an address is told. */
function opened(callable $open, string $address): mixed
{
    $stream = $open($address, $number, $text);
    return $stream ? stream_socket_get_name($stream, false) : $text;
}
foreach ([
    'TCP://127.0.0.1:0', 'sslv2://127.0.0.1:0', 'no+such-1.0://x',
    'a-transport-of-more-than-31-characters://127.0.0.1:0', '127.0.0.1:0', '', 'tcp://', 'tcp://127.0.0.1',
    'tcp://127.0.0.1:', 'tcp://[::1]', 'tcp://[::1]0', 'tcp://[::1', 'tcp://[::1]:0', 'tcp://[127.0.0.1]:0',
    'tcp://[localhost]:0', 'tcp://localhost:0', 'tcp://127.0.0.1:0/path?x',
    'tcp://127.0.0.1:00000', "tcp://127.0.0.1:0\0", "tcp://\0:0",
    'tcp://*:0', 'tcp://:0', 'tcp://0:0', 'tcp://0.0.0.0:0', 'tcp://[::]:0', 'tcp://[fe80::1]:0',
    'tcp://[fe80::1%lo]:0', 'tcp://user@127.0.0.1:0', 'tcp://192.0.2.1:0', 'tcp://127.1:0',
] as $address) {
    table([$address => fn () => opened(stream_socket_server(...), $address)]);
}
foreach ([
    'TCP://127.0.0.1:1', 'tcp://127.0.0.1', "tcp://127.0.0.1\0:1", 'tcp://[::1]', 'tcp://[::1]:1', 'tcp://:1',
    'tcp://127.0.0.1:1/path', "tcp://127.0.0.1:1\"'\n", 'udg:///nonexistent', 'unix://',
] as $address) {
    table([$address => fn () => opened(stream_socket_client(...), $address)]);
}
$all = stream_socket_server('tcp://[::]:0');
$port = substr(strrchr(stream_socket_get_name($all, false), ':'), 1);
$client = stream_socket_client("tcp://127.0.0.1:$port");
$served = stream_socket_accept($all, 5, $peer);
say($peer, stream_socket_get_name($client, true), stream_socket_get_name($served, false));
