<?php
// What meta data tell besides: counts, who is there, why it broke.
require __DIR__ . '/../report.php';
$path = socket_path();
$listener = stream_socket_server("unix://$path");
$client = stream_socket_client("unix://$path");
$served = stream_socket_accept($listener, 5);
fwrite($client, 'seven b');
fread($served, 100);
$section = stream_get_meta_data($served)['socket'] ?? null;
say($section['bytes_received'] ?? null, ($section['peer_pid'] ?? null) === getmypid());
$reset = stream_context_create(['socket' => ['so_linger' => 0]]);
[$client, $served] = connected();
fwrite($served, 'never read');
usleep(20000);
fclose($client);
usleep(20000);
say(feof($served), stream_get_meta_data($served)['socket']['error_message'] ?? null);
$refused = stream_socket_client('tcp://127.0.0.1:1', $number, $text, 5, STREAM_CLIENT_ASYNC_CONNECT);
say(feof($refused), stream_get_meta_data($refused)['socket']['error'] ?? null);
