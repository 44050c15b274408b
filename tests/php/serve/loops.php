<?php
// Our loop as a part of another, and frameworks' Fibers within ours: what a framework's loop does is
// done here by a small one, which knows streams, timers and Fibers of its own.
class Loop
{
    private array $readers = [];
    private array $ready = [];

    function onReadable($stream, callable $callback): void
    {
        $this->readers[(int) $stream] = [$stream, $callback];
    }

    function defer(callable $callback): void
    {
        $this->ready[] = $callback;
    }

    /** Suspends the running Fiber until what is returned is called. */
    function suspension(): array
    {
        $fiber = Fiber::getCurrent();
        return [
            fn () => Fiber::suspend(),
            fn ($value) => $this->defer(fn () => $fiber->resume($value)),
        ];
    }

    function run(callable $is_over): void
    {
        while (!$is_over()) {
            foreach (array_splice($this->ready, 0) as $callback) {
                $callback();
            }
            $read = array_column($this->readers, 0);
            $none = null;
            if (stream_select($read, $none, $none, 0, $this->ready ? 0 : 200000)) {
                foreach ($read as $stream) {
                    $this->readers[(int) $stream][1]();
                }
            }
        }
    }
}

$loop = new Loop();
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);
$counters = $lines = null;

// The server runs in a task, and this loop is told when it has something to do.
stream_socket_spawn(function () use ($server, &$counters) {
    $counters = stream_socket_serve($server, function ($connection) {
        while (($line = fgets($connection)) !== false) {
            usleep(10000);
            fwrite($connection, strtoupper($line));
        }
    }, ['drain' => 1]);
});

// A task that waits for us and for the other loop by turns.
stream_socket_spawn(function () use ($address, $loop, &$lines) {
    $client = stream_socket_client("tcp://$address");
    foreach (['one', 'two'] as $word) {
        [$suspend, $resume] = $loop->suspension();
        $loop->defer(fn () => $resume($word));
        fwrite($client, $suspend() . "\n");
        $lines[] = fgets($client);
    }
    stream_socket_serve_stop();
});

// A Fiber that is none of ours blocks, as ever.
$foreign = new Fiber(function () use ($address) {
    Fiber::suspend('suspended');
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    fwrite($pair[0], "paired\n");
    return fgets($pair[1]);
});
echo $foreign->start(), "\n";

$wakes = 0;
$loop->onReadable(stream_socket_loop_fd(), function () use (&$wakes) {
    $wakes++;
    stream_socket_loop_run();
});
$loop->run(function () use (&$counters) {
    return $counters !== null;
});
$foreign->resume();
echo $foreign->getReturn();
echo json_encode([$lines, $counters['accepted'], $counters['finished'], $wakes < 100]), "\n";

// A server in a handler of another.
$outer = stream_socket_server('tcp://127.0.0.1:0');
$inner = stream_socket_server('tcp://127.0.0.1:0');
stream_socket_spawn(function () use ($outer, $inner) {
    $first = stream_socket_client('tcp://' . stream_socket_get_name($outer, false));
    echo fgets($first);
    echo fgets(stream_socket_client('tcp://' . stream_socket_get_name($inner, false)));
    echo fgets($first);
    stream_socket_serve_stop();
});
stream_socket_serve($outer, function ($connection) use ($inner) {
    fwrite($connection, "outer\n");
    $counters = stream_socket_serve($inner, fn ($connection) => fwrite($connection, "inner\n"), ['limit' => 1]);
    fwrite($connection, json_encode(array_filter($counters)) . "\n");
}, ['drain' => 1]);

// The loop can't be run within itself.
stream_socket_spawn(function () {
    ob_start(function ($text) {
        try {
            stream_socket_join(stream_socket_spawn(fn () => 1));
        } catch (Error $error) {
            return $error->getMessage() . "\n";
        }
    });
    ob_end_flush();
});
stream_socket_join(stream_socket_spawn(fn () => usleep(1000)));
