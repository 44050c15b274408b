<?php
// Options of the context, as seen from outside.
require __DIR__ . '/../report.php';
function option(mixed $stream, int $level, int $name): mixed
{
    return socket_get_option(socket_import_stream($stream), $level, $name);
}
$context = stream_context_create(['socket' => [
    'tcp_nodelay' => true, 'backlog' => 5, 'so_reuseport' => true, 'bindto' => '127.0.0.1:0',
]]);
$listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$address = 'tcp://' . stream_socket_get_name($listener, false);
$client = stream_socket_client($address, $number, $text, 5, STREAM_CLIENT_CONNECT, $context);
$served = stream_socket_accept($listener, 5);
foreach ([$listener, $client, $served] as $stream) {
    say(option($stream, SOL_TCP, TCP_NODELAY) !== 0, option($stream, SOL_SOCKET, SO_REUSEADDR) !== 0);
    say(option($stream, SOL_SOCKET, SO_REUSEPORT) !== 0, option($stream, SOL_SOCKET, SO_KEEPALIVE));
}
$wrong = stream_context_create(['socket' => ['bindto' => 7]]);
say(stream_socket_client($address, $number, $text, 1, STREAM_CLIENT_CONNECT, $wrong), $number, $text);
say(stream_context_get_options($served)['socket']['backlog']);
