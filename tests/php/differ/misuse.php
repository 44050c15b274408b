<?php
// What stock PHP waits for though it can't come, datagrams nobody can answer, and bytes after the end.
require __DIR__ . '/../report.php';
[$client, $served] = connected();
say(stream_socket_accept($client, 0.01));
$path = socket_path();
$server = stream_socket_server("udg://$path", $number, $text, STREAM_SERVER_BIND);
$client = stream_socket_client("udg://$path");
fwrite($client, 'who am I?');
say(fread($server, 99), stream_socket_get_name($client, false) !== false);
[$client, $served] = connected();
stream_socket_shutdown($served, STREAM_SHUT_RD);
$first = fread($served, 9);
fwrite($client, 'unwanted');
await($served);
say($first, fread($served, 9));
