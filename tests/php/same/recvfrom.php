<?php
// Past the buffer: stream_socket_recvfrom and stream_socket_sendto.
require __DIR__ . '/../report.php';
$server = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$client = stream_socket_client('udp://' . stream_socket_get_name($server, false));
fwrite($client, 'question');
say(stream_socket_recvfrom($server, 3, STREAM_PEEK, $peer), $peer);
say(stream_socket_recvfrom($server, 100, 0, $peer));
say(stream_socket_sendto($server, 'answer', 0, $peer), fread($client, 100));
say(stream_socket_sendto($client, ''), stream_socket_recvfrom($server, 100));
stream_set_blocking($server, false);
$peer = 'kept?';
say(stream_socket_recvfrom($server, 100, 0, $peer), $peer);
say(stream_socket_sendto($server, 'to nobody'), stream_socket_sendto($server, 'x', 0, 'nonsense'));
attempt(fn () => stream_socket_recvfrom($server, 0));
[$one, $other] = connected();
say(stream_socket_sendto($one, '!', STREAM_OOB), stream_socket_sendto($one, 'bytes'));
usleep(20000);
say(stream_socket_recvfrom($other, 10, STREAM_OOB), stream_socket_recvfrom($other, 10, 0, $peer), $peer);
say(fwrite($server, 'unconnected'));
