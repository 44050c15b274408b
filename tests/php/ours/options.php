<?php
// Context options that stock PHP has not, as seen from outside.
require __DIR__ . '/../report.php';
function option(mixed $stream, int $level, int $name): mixed
{
    return socket_get_option(socket_import_stream($stream), $level, $name);
}
function listen(array $options, string $address = 'tcp://127.0.0.1:0'): mixed
{
    $context = stream_context_create(['socket' => $options]);
    return stream_socket_server($address, $number, $text, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
}
$times = ['tcp_keepidle' => 30, 'tcp_keepintvl' => 5, 'tcp_keepcnt' => 3];
$listener = listen($times + ['so_linger' => 4, 'so_rcvbuf' => 8192, 'tcp_user_timeout' => 7000]);
$address = 'tcp://' . stream_socket_get_name($listener, false);
$client = stream_socket_client($address);
$served = stream_socket_accept($listener, 5);
say(option($served, SOL_SOCKET, SO_KEEPALIVE), option($served, SOL_TCP, 4), option($served, SOL_TCP, 5));
say(option($served, SOL_TCP, 6), option($served, SOL_SOCKET, SO_LINGER), option($served, SOL_TCP, 18));
say(option($served, SOL_SOCKET, SO_RCVBUF));
say(listen(['so_rcvbuf' => 0]), listen(['max_connections' => -1]));
say(array_map(fn (mixed $reuse) => option(listen(['so_reuseaddr' => $reuse]), SOL_SOCKET, SO_REUSEADDR),
    [true, false, null]));

$listener = listen(['max_connections' => 1]);
$address = 'tcp://' . stream_socket_get_name($listener, false);
[$one, $two] = [stream_socket_client($address), stream_socket_client($address)];
$served = stream_socket_accept($listener, 1);
say(is_resource($served), stream_socket_accept($listener, 0.1));
fclose($served);
say(is_resource(stream_socket_accept($listener, 1)));

$listener = listen(['max_connections_per_ip' => 1]);
$address = 'tcp://' . stream_socket_get_name($listener, false);
[$one, $two] = [stream_socket_client($address), stream_socket_client($address)];
$served = stream_socket_accept($listener, 1);
say(is_resource($served), stream_socket_accept($listener, 0.1), fread($two, 10), feof($two));

$path = socket_path();
$owner = posix_geteuid();
$listener = listen(['unix_mode' => 0600, 'unix_unlink' => true, 'unix_owner' => $owner], "unix://$path");
say(decoct(fileperms($path) & 0777), fileowner($path) === $owner);
fclose($listener);
clearstatcache();
say(file_exists($path));
foreach ([1.5, -5, ['root']] as $owner) {
    listen(['unix_owner' => $owner, 'unix_unlink' => true], "unix://$path");
}

// Of what is no such number PHP would make another: 660 of "0660", and 0 of most.
$udp = fn (array $options) => stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND,
    stream_context_create(['socket' => $options]));
foreach (['0660', 010000, true] as $mode) {
    listen(['unix_mode' => $mode, 'unix_unlink' => true], "unix://$path");
}
foreach (['', 'abc', '7x', 1.5, INF, [], STDIN, 0, 32768] as $value) {
    listen(['tcp_keepidle' => $value]);
}
$udp(['max_peers' => 0]);
foreach ([0, NAN, 'abc', -1e30] as $value) {
    $udp(['peer_idle_timeout' => $value]);
}
say(is_resource(listen(['tcp_keepidle' => '30', 'so_linger' => 4.0, 'tcp_keepcnt' => true, 'max_peers' => 0])));
say(is_resource($udp(['peer_idle_timeout' => '1.5', 'max_peers' => '7'])), is_resource($udp(['peer_idle_timeout' => INF])));

// Of an object's conversion no handler hears, who could change the context while it is read.
set_error_handler(fn (int $level, string $text) => say($text));
listen(['so_linger' => new stdClass]);
$udp(['peer_idle_timeout' => new stdClass]);
restore_error_handler();
