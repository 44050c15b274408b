<?php
// Whose options are written: in stock PHP the default context's, and the listener's.
require __DIR__ . '/../report.php';
[$client, $served, $listener] = connected();
stream_context_set_option($client, 'socket', 'mark_of_client', 1);
say(stream_context_get_options(stream_context_get_default()));
$context = stream_context_create();
$listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
$served = stream_socket_accept($listener, 5);
stream_context_set_option($served, 'socket', 'mark_of_one', 1);
say(stream_context_get_options($listener), stream_context_get_options($served));
$address = 'tcp://' . stream_socket_get_name($listener, false);
foreach (['0', '', '127.0.0.2'] as $bindto) {
    $client = stream_socket_client($address, context: stream_context_create(['socket' => ['bindto' => $bindto]]));
    say(strtok(stream_socket_get_name($client, false), ':'));
}
$bad = stream_context_create(['socket' => ['bindto' => 'localhost:0']]);
say(stream_socket_client($address, $number, $text, 1, STREAM_CLIENT_CONNECT, $bad) !== false, $text);
