<?php
// How handlers end: three that wait, one that throws, and what ends them all. Each in a process of
// its own, as it may end that.
class Held
{
    function __construct(private string $name)
    {
    }

    function __destruct()
    {
        echo "destroyed: $this->name\n";
    }
}

function wait_nested($connection): void
{
    $fiber = new Fiber(function () use ($connection) {
        try {
            fgets($connection);
        } finally {
            echo "finally in a Fiber of the handler\n";
        }
    });
    $fiber->start();
}

function handler($connection): void
{
    $command = trim(fgets($connection));
    if ($command === 'forks') {
        if (pcntl_fork() !== 0) {
            pcntl_wait($status);
            echo "a child has ended: $status\n";
        }
        return;
    }
    $held = new Held($command);
    try {
        match ($command) {
            'waits' => fgets($connection),
            'sleeps' => sleep(100),
            'waits nested' => wait_nested($connection),
            'throws' => throw new RuntimeException('thrown'),
            'exits' => exit(3),
            'exhausts' => str_repeat('x', PHP_INT_MAX >> 20),
        };
    } finally {
        // It is being ended: what would wait fails at once.
        $begun = microtime(true);
        sleep(50);
        fgets($connection);
        // After a fatal error some builds of PHP come here, and others do not.
        if ((error_get_last()['type'] ?? null) !== E_ERROR) {
            echo "finally: $command", microtime(true) - $begun > 10 ? ' after a wait' : '', "\n";
        }
    }
}

function ask(string $address, string $command): mixed
{
    $client = stream_socket_client("tcp://$address");
    fwrite($client, "$command\n");
    usleep(20000);
    return $client;
}

function serve(string $ending): void
{
    $server = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($server, false);
    stream_socket_spawn(function () use ($address, $ending) {
        $clients = array_map(fn ($command) => ask($address, $command), ['waits', 'sleeps', 'waits nested']);
        switch ($ending) {
            case 'stop':
                stream_socket_serve_stop();
                break;
            case 'a signal':
                posix_kill(getmypid(), SIGTERM);
                break;
            case 'two signals':
                posix_kill(getmypid(), SIGTERM);
                usleep(1000);
                posix_kill(getmypid(), SIGINT);
                break;
            case 'a handler set meanwhile':
                pcntl_async_signals(true);
                pcntl_signal(SIGTERM, fn () => print "heard\n");
                posix_kill(getmypid(), SIGTERM);
                stream_socket_serve_stop();
                break;
            case 'a child':
                ask($address, 'forks');
                stream_socket_serve_stop();
                break;
            case 'exit':
                ask($address, 'exits');
                break;
            case 'a fatal error':
                register_shutdown_function(function () {
                    try {
                        stream_socket_join(stream_socket_spawn(fn () => 1));
                    } catch (Error $error) {
                        echo $error->getMessage(), "\n";
                    }
                });
                ini_set('memory_limit', '16M');
                ask($address, 'exhausts');
        }
        sleep(100);
    });
    $counters = stream_socket_serve($server, 'handler', ['drain' => $ending === 'two signals' ? 100 : 0.1]);
    echo json_encode(array_filter($counters)), "\n";
    if ($ending === 'a handler set meanwhile') {
        posix_kill(getmypid(), SIGTERM);
    }
}

if (isset($argv[1])) {
    ini_set('display_errors', '0');
    serve($argv[1]);
    exit(0);
}
foreach (['stop', 'a signal', 'two signals', 'a handler set meanwhile', 'a child', 'exit', 'a fatal error'] as $ending) {
    echo "== $ending\n";
    passthru(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(__FILE__) . ' ' . escapeshellarg($ending) . ' 2>/dev/null', $code);
    echo "exit code $code\n";
}
