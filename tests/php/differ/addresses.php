<?php
// Ports that are none, and unix names that do not fit: stock PHP opens something else.
require __DIR__ . '/../report.php';
foreach (['70000', '-1', 'http', ' 80x'] as $port) {
    say(stream_socket_client("tcp://127.0.0.1:$port", $number, $text, 1) !== false, $number);
}
$long = 'unix://' . sys_get_temp_dir() . '/' . str_repeat('long', 30);
$opened = stream_socket_server($long, $number, $text);
say($opened !== false, $number, $text);
if ($opened) {
    unlink(stream_socket_get_name($opened, false));
}
$suffix = stream_socket_server('tcp://127.0.0.1:0/pool?backlog=5', $number, $text);
say($suffix !== false);
