<?php
// A Fiber closes a stream in whose operation another one's handler of errors takes its time.
$server = stream_socket_server('tcp://127.0.0.1:0');
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
$served = stream_socket_accept($server);
fclose($client);
set_error_handler(fn () => usleep(300000) === null);
stream_socket_spawn(fn () => fwrite($served, str_repeat('x', 1 << 24)));
$closing = stream_socket_spawn(function () use ($served) {
    usleep(10000);
    return fclose($served);
});
echo json_encode(stream_socket_join($closing));
