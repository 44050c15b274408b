<?php
// What a handler throws is told once, with the peer's address, and the server goes on.
function clean(string $text): string
{
    return preg_replace(['/127\.0\.0\.1:\d+/', '~[^ ]*/tests/~'], ['PEER', ''], $text);
}

function serve(array $options): void
{
    $server = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($server, false);
    stream_socket_spawn(function () use ($address) {
        foreach ([1, 2] as $ignored) {
            $client = stream_socket_client("tcp://$address");
            var_dump(fgets($client));
        }
        stream_socket_serve_stop();
    });
    $handler = fn ($connection) => throw new LogicException('thrown');
    $counters = stream_socket_serve($server, $handler, $options);
    echo json_encode(array_filter($counters)), "\n";
}

ini_set('display_errors', '0');
// Else an exception keeps the connection that its handler was called with.
ini_set('zend.exception_ignore_args', '1');
set_error_handler(function ($level, $message) {
    echo 'warning: ', clean($message), "\n";
    return true;
});
serve([]);
serve(['on_error' => function (Throwable $exception, string $peer) {
    usleep(1000);
    echo 'on_error: ', get_class($exception), ' ', clean($peer), "\n";
}]);
serve(['limit' => 2, 'on_error' => fn () => throw new Exception('of the report')]);

foreach ([['nonsense' => 1], ['max_connections' => 0], ['drain' => 'x'], ['on_error' => 'no_such_function'], [1]] as $options) {
    try {
        stream_socket_serve(stream_socket_server('tcp://127.0.0.1:0'), 'strlen', $options);
    } catch (ValueError $error) {
        echo $error->getMessage(), "\n";
    }
}
$server = stream_socket_server('tcp://127.0.0.1:0');
foreach ([[], 'x', STDIN, [stream_socket_client('udp://127.0.0.1:9')], [$server, $server]] as $servers) {
    try {
        stream_socket_serve($servers, 'strlen');
    } catch (Error $error) {
        echo $error->getMessage(), "\n";
    }
}
try {
    $waiting = stream_socket_spawn(fn () => Fiber::suspend());
    stream_socket_join($waiting);
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
try {
    stream_socket_join(new Fiber(fn () => 1));
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
try {
    ('{stream_socket task}')();
} catch (Error $error) {
    echo $error->getMessage(), "\n";
}
// What a buffer's callback throws at the end of a handler is the handler's.
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
stream_socket_serve($server, function () {
    ob_start(fn () => throw new Exception('of the buffer'));
}, ['limit' => 1, 'on_error' => fn (Throwable $exception) => print $exception->getMessage() . "\n"]);
