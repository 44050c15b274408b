<?php
// Names of unix sockets: an unnamed peer has none, and stock PHP tells no abstract name at all.
require __DIR__ . '/../report.php';
$path = socket_path();
$listener = stream_socket_server("unix://$path");
$client = stream_socket_client("unix://$path");
$served = stream_socket_accept($listener, 5);
say(stream_socket_get_name($served, true));
$abstract = "unix://\0stream_socket_test_" . getmypid();
$listener = stream_socket_server($abstract);
say(preg_replace('/\d+/', 'N', (string) json_encode(stream_socket_get_name($listener, false))));
$client = stream_socket_client($abstract);
say(preg_replace('/\d+/', 'N', (string) json_encode(stream_socket_get_name($client, true))));
