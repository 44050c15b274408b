<?php
// Why a server could not be opened: stock PHP says errno 0, and nothing at all of unix sockets.
require __DIR__ . '/../report.php';
$taken = stream_socket_server('tcp://127.0.0.1:0');
say(stream_socket_server('tcp://' . stream_socket_get_name($taken, false), $number, $text), $number);
say(stream_socket_server('tcp://192.0.2.1:80', $number, $text), $number, $text);
say(stream_socket_server('udp://127.0.0.1:0', $number, $text), $number, $text);
say(stream_socket_server('unix:///nonexistent/s', $number, $text), $number, $text);
$path = socket_path();
$first = stream_socket_server("unix://$path", $number, $text);
say($number);
say(stream_socket_server("unix://$path", $number, $text), $number, $text);
say(stream_socket_server('tcp://127.0.0.1', $number, $text), $number, $text);
