<?php
// The manual's time servers, tcp and udp, under stream_socket_serve. A client is told the time twice,
// when it asks for it, so that all of them are there at once.
ini_set('memory_limit', '1G');
$context = stream_context_create(['socket' => ['backlog' => 4096, 'max_peers' => 20000]]);
$servers = [
    stream_socket_server('tcp://127.0.0.1:0', $errno, $error, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context),
    stream_socket_server('udp://127.0.0.1:0', $errno, $error, STREAM_SERVER_BIND, $context),
];
echo implode(' ', array_map(fn ($server) => stream_socket_get_name($server, false), $servers)), "\n";
$counters = stream_socket_serve($servers, function ($connection) {
    for ($times = 0; $times < 2 && fgets($connection) !== false; $times++) {
        fputs($connection, 'The local time is ' . date('n/j/Y g:i a') . "\n");
    }
}, ['max_connections' => 19000, 'read_timeout' => 600, 'drain' => 1]);
echo json_encode($counters), "\n";
