<?php
// Datagrams, which stock PHP joins, cuts and takes for the end; and accept, which it refuses.
require __DIR__ . '/../report.php';
$server = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$client = stream_socket_client('udp://' . stream_socket_get_name($server, false));
fwrite($client, 'name');
stream_socket_recvfrom($server, 100, 0, $peer);
stream_socket_sendto($server, 'hello', 0, $peer);
stream_socket_sendto($server, 'world', 0, $peer);
say(fread($client, 2), fread($client, 100));
stream_set_blocking($client, false);
say(fread($client, 100));
stream_socket_sendto($server, str_repeat('x', 20000), 0, $peer);
usleep(20000);
say(strlen(fread($client, 65535)), strlen(fread($client, 65535)));
stream_socket_sendto($server, '', 0, $peer);
usleep(20000);
say(feof($client), fread($client, 100), feof($client));
fwrite($client, 'longer than asked for');
say(stream_socket_recvfrom($server, 6), stream_get_meta_data($server)['socket']['truncated'] ?? null);
stream_set_timeout($server, 0, 50000);
fwrite($client, 'accept me');
$served = stream_socket_accept($server, 1, $name);
say($served !== false);
if ($served) {
    say($name === stream_socket_get_name($client, false), fread($served, 100), fwrite($served, 'yes'));
    usleep(20000);
    say(fread($client, 100));
    fwrite($client, 'again');
    $read = [$served];
    $none = null;
    say(stream_select($read, $none, $none, 5), fread($served, 100));
    $second = stream_socket_client('udp://' . stream_socket_get_name($server, false));
    fwrite($second, 'a second peer');
    $read = [$server];
    say(stream_select($read, $none, $none, 5), fread(stream_socket_accept($server, 1), 100));
}
$shut = stream_socket_client('udp://' . stream_socket_get_name($server, false));
stream_socket_shutdown($shut, STREAM_SHUT_RD);
say(fread($shut, 100), feof($shut));
