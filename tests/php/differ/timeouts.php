<?php
// recvfrom keeps a timeout that was asked for; stock PHP would wait on, so that it is not asked.
require __DIR__ . '/../report.php';
$server = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$ours = extension_loaded('stream_socket');
if ($ours) {
    stream_set_timeout($server, 0, 50000);
    say(stream_socket_recvfrom($server, 10), stream_get_meta_data($server)['timed_out']);
}
say(stream_socket_server('udp://' . stream_socket_get_name($server, false), $number, $text,
    STREAM_SERVER_BIND) !== false, $number);
