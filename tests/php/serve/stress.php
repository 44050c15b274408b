<?php
// Everything at once by a seed: opens, closes of one another's streams, exceptions, Fibers in Fibers,
// generators, output buffers, the collector, half-read streams. php stress.php [SEED] [CLIENTS].
$seed = (int) ($argv[1] ?? 1);
$clients = (int) ($argv[2] ?? 150);
ini_set('display_errors', '0');
ini_set('log_errors', '0');
mt_srand($seed);
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);
$addresses = [$address, $address, $address, str_replace('127.0.0.1', 'localhost', $address)];
$open = [];
$done = 0;

class Cycle
{
    public mixed $self;

    function __construct(public mixed $stream)
    {
        $this->self = $this;
    }

    function __destruct()
    {
        // May run in the collector, where nothing may switch.
        is_resource($this->stream) && @fwrite($this->stream, "destroyed\n");
    }
}

function lines($stream): Generator
{
    try {
        while (($line = @fgets($stream)) !== false) {
            yield $line;
        }
    } finally {
        usleep(mt_rand(0, 100));
    }
}

function act($stream): void
{
    switch (mt_rand(0, 15)) {
        case 0:
            throw new RuntimeException('by chance');
        case 1:
            $other = $GLOBALS['open'] ? $GLOBALS['open'][array_rand($GLOBALS['open'])] : null;
            if (is_resource($other)) {
                @fclose($other);
            }
            break;
        case 2:
            foreach (lines($stream) as $number => $line) {
                if ($number >= 2) {
                    break;
                }
            }
            break;
        case 3:
            $fiber = new Fiber(function () use ($stream) {
                Fiber::suspend(@fgets($stream));
                $inner = new Fiber(fn () => @fread($stream, 10));
                $inner->start();
                Fiber::suspend();
            });
            $fiber->start();
            mt_rand(0, 1) && $fiber->resume();
            break;
        case 4:
            ob_start();
            echo str_repeat('x', mt_rand(0, 10000));
            try {
                usleep(mt_rand(0, 500));
                mt_rand(0, 1) && @fwrite($stream, substr(ob_get_contents(), 0, 10) . "\n");
            } finally {
                ob_end_clean();
            }
            break;
        case 5:
            gc_collect_cycles();
            break;
        case 6:
            new Cycle($stream);
            break;
        case 7:
            @fwrite($stream, str_repeat('y', mt_rand(1, 100000)) . "\n");
            break;
        case 8:
            stream_socket_spawn(function () use ($stream) {
                @fgets($stream);
                mt_rand(0, 3) || throw new LogicException('of a task');
            });
            break;
        case 9:
            $task = stream_socket_spawn(function ($span) {
                usleep($span);
                return $span;
            }, mt_rand(0, 1000));
            stream_socket_join($task);
            break;
        case 10:
            $read = [$stream];
            $write = $except = null;
            @stream_select($read, $write, $except, 0, mt_rand(0, 2000));
            break;
        case 11:
            stream_set_timeout($stream, 0, mt_rand(0, 3000));
            break;
        case 12:
            stream_set_chunk_size($stream, mt_rand(1, 10000));
            break;
        case 13:
            stream_socket_shutdown($stream, STREAM_SHUT_WR);
            break;
        default:
            @fwrite($stream, "line\n");
            @fgets($stream);
    }
}

function live($stream): void
{
    global $open;
    $open[(int) $stream] = $stream;
    stream_set_timeout($stream, 0, 20000);
    try {
        for ($acts = mt_rand(0, 12); $acts > 0 && is_resource($stream); $acts--) {
            act($stream);
        }
    } catch (TypeError) {
        // Somebody has closed it.
    } finally {
        unset($open[(int) $stream]);
    }
}

stream_socket_spawn(function () use ($addresses, $clients, &$done) {
    for ($number = 0; $number < $clients; $number++) {
        stream_socket_spawn(function () use ($addresses, &$done) {
            try {
                $address = $addresses[mt_rand(0, 3)];
                $client = @stream_socket_client("tcp://$address", $errno, $error, 5);
                $client && live($client);
            } catch (Exception) {
            }
            $done++;
        });
        mt_rand(0, 9) || usleep(mt_rand(0, 1000));
    }
    while ($done < $clients) {
        usleep(10000);
    }
    stream_socket_serve_stop();
});
$counters = stream_socket_serve($server, 'live', ['drain' => 2, 'max_connections' => 40, 'idle_timeout' => 5,
    'on_error' => fn (Throwable $error, string $peer) => strlen($peer)]);
gc_collect_cycles();
echo json_encode([$done === $clients, $counters['accepted'] === $counters['finished']]), "\n";
