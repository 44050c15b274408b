<?php
// An error handler that does not come back, for each complaint of the extension: php handlers.php
// NAME MANNER, where MANNER is `throw`, or `end`, a fatal error in the handler. Without arguments,
// the names; and `all throw` throws for one after the other.
$complaints = [
    'bind' => fn () => stream_socket_server('tcp://192.0.2.1:80'),
    'bind unix' => fn () => stream_socket_server('unix:///nonexistent/s'),
    'listen' => fn () => stream_socket_server('udp://127.0.0.1:0'),
    'port' => fn () => stream_socket_client('tcp://127.0.0.1:70000'),
    'resolve' => fn () => stream_socket_client('tcp://nothing.invalid:1', $number, $text, 1),
    'resolve server' => fn () => stream_socket_server('tcp://nothing.invalid:1'),
    'connect' => fn () => stream_socket_client('tcp://127.0.0.1:1'),
    'connect unix' => fn () => stream_socket_client('unix:///nonexistent/s'),
    'bindto' => fn () => stream_socket_client('tcp://127.0.0.1:1', $number, $text, 1, 4,
        stream_context_create(['socket' => ['bindto' => 'localhost:0']])),
    'accept' => fn () => stream_socket_accept(listener(), 0),
    'accept datagrams' => fn () => stream_socket_accept(datagrams(), 0),
    'write' => function () {
        [$client, $served] = pair();
        fclose($served);
        fwrite($client, 'first');
        usleep(20000);
        fwrite($client, 'second');
    },
    'write in time' => function () {
        [$client, $served] = pair();
        stream_set_timeout($client, 0, 20000);
        fwrite($client, str_repeat('x', 1 << 24));
    },
    'send' => fn () => stream_socket_sendto(datagrams(), 'to nobody'),
    'send to' => fn () => stream_socket_sendto(datagrams(), 'x', 0, 'nonsense'),
    'unselectable' => function () {
        $read = [fopen('php://memory', 'r'), listener()];
        $none = null;
        stream_select($read, $none, $none, 0);
    },
    'no stream' => function () {
        $read = ['text', listener()];
        $none = null;
        stream_select($read, $none, $none, 0);
    },
    'signal' => function () {
        pcntl_signal(SIGALRM, fn () => null);
        pcntl_alarm(1);
        $read = [listener()];
        $none = null;
        stream_select($read, $none, $none, 5);
    },
    'taken away' => function () {
        // The handler takes the arrays from under the call.
        $read = [fopen('php://memory', 'r'), listener()];
        $GLOBALS['taken'] = &$read;
        $none = null;
        stream_select($read, $none, $none, 0);
    },
];

function listener(): mixed
{
    return stream_socket_server('tcp://127.0.0.1:0');
}

function datagrams(): mixed
{
    return stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
}

function pair(): array
{
    $listener = listener();
    $client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
    return [$client, stream_socket_accept($listener, 5)];
}

if ($argc < 3) {
    echo implode("\n", array_keys($complaints)), "\n";
    exit;
}
ini_set('display_errors', 'stdout');
set_error_handler(function (int $level, string $text) use ($argv): bool {
    $GLOBALS['taken'] = null;
    if ($argv[2] === 'throw') {
        throw new RuntimeException('thrown by the handler');
    }
    // In a handler it is PHP's own that is told of this, and that ends the request.
    trigger_error('ended by the handler', E_USER_ERROR);
    return true;
});
register_shutdown_function(function () {
    // What there was is whole still.
    restore_error_handler();
    [$client, $served] = pair();
    fwrite($client, "alive\n");
    echo fgets($served);
});
foreach ($argv[1] === 'all' ? $complaints : [$complaints[$argv[1]]] as $complaint) {
    try {
        $complaint();
        echo "no complaint\n";
    } catch (RuntimeException|Error $thrown) {
        echo get_class($thrown), ': ', $thrown->getMessage(), "\n";
    }
}
