<?php
// A request beside others in one process: what one thread does, no other may notice.
require __DIR__ . '/check.php';

$name = bin2hex(random_bytes(8));
for ($round = 0; $round < 20; $round++) {
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $address = 'tcp://' . stream_socket_get_name($listener, false);
    check(!@stream_socket_server($address, $number, $text) && $number === 98, "errno is $number: $text");
    $client = stream_socket_client($address);
    $served = stream_socket_accept($listener, 5);
    stream_context_set_option($served, 'socket', 'name', $name);
    check(!isset(stream_context_get_options($client)['socket']['name']), 'a context is shared');
    fwrite($client, "<b>$name</b\n>$round\n");
    [$read, $write, $except] = [[$served, $listener], [$served], null];
    check(stream_select($read, $write, $except, 5) === 2, 'what is readable, and writable, is told');
    check(fgetss($served) === $name && fgetss($served) === "$round\n", 'tags are kept apart');
    check(stream_get_meta_data($served)['socket']['bytes_received'] > 0, 'the stream is ours');
    $server = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
    $client = stream_socket_client('udp://' . stream_socket_get_name($server, false));
    fwrite($client, $name);
    $peer = stream_socket_accept($server, 5);
    check(fread($peer, 100) === $name, 'a datagram is of its thread');
    check(!@stream_socket_server('unix:///nonexistent/s', $number, $text) && $number === 2, 'errno of unix');
}
