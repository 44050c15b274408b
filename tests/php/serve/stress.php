<?php
// Everything at once by a seed: opens, closes of one another's streams, exceptions, Fibers in Fibers,
// generators, output buffers, the collector, half-read streams, handlers of errors that park and close,
// an end that comes early, or by exit(): then Zend collects no cycles any more, whose objects valgrind finds
// lost (seed 3), as it does in stock PHP. php stress.php [SEED] [CLIENTS].
$seed = (int) ($argv[1] ?? 1);
$clients = (int) ($argv[2] ?? 150);
ini_set('display_errors', '0');
ini_set('log_errors', '0');
mt_srand($seed);
set_error_handler(function () {
    usleep(mt_rand(0, 300));
    mt_rand(0, 5) || close_another();
    return true;
});
$ends_early = mt_rand(0, 3) === 0;
$exits = mt_rand(0, 7) === 0;
$verdict = [$exits, $exits];
register_shutdown_function(function () {
    echo json_encode($GLOBALS['verdict']), "\n";
    // Not where all was well: after an exit() here Zend gives no memory back, and leaks would be told.
    in_array(false, $GLOBALS['verdict']) && exit(1);
});
$datagrams = stream_socket_server('udp://127.0.0.1:0', $errno, $error, STREAM_SERVER_BIND);
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);
$addresses = ["tcp://$address", "tcp://$address", 'tcp://' . str_replace('127.0.0.1', 'localhost', $address),
    'udp://' . stream_socket_get_name($datagrams, false)];
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

/** One that somebody uses. */
function another(): mixed
{
    $open = $GLOBALS['open'];
    return $open ? $open[array_rand($open)] : null;
}

/** Of all, also those that are being opened. */
function close_another(): void
{
    $streams = array_filter(get_resources('stream'), fn ($stream) => (int) $stream > $GLOBALS['first']);
    $other = $streams ? $streams[array_rand($streams)] : null;
    if (is_resource($other)) {
        @fclose($other);
    }
}

/** Accepts, while somebody connects, closes, or neither. */
function accept(): void
{
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $task = stream_socket_spawn(function () use ($listener) {
        usleep(mt_rand(0, 500));
        if (mt_rand(0, 1)) {
            @stream_socket_client('tcp://' . stream_socket_get_name($listener, false), $errno, $error, 1);
        } elseif (is_resource($listener)) {
            @fclose($listener);
        }
    });
    @stream_socket_accept($listener, 0.002);
    stream_socket_join($task);
}

function act($stream): void
{
    if ($GLOBALS['exits'] && mt_rand(0, 300) === 0) {
        exit(0);
    }
    switch (mt_rand(0, 20)) {
        case 0:
            throw new RuntimeException('by chance');
        case 1:
            close_another();
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
            $read = array_filter([$stream, another(), another()], 'is_resource');
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
        case 14:
            accept();
            break;
        case 15:
            $other = another();
            is_resource($other) && @stream_copy_to_stream($stream, $other, mt_rand(1, 10000));
            break;
        case 16:
            @stream_socket_client('tcp://127.0.0.1:1', $errno, $error, 1);
            break;
        case 17:
            $fiber = new Fiber(fn () => @fgets($stream));
            $fiber->start();
            // Left parked in a cycle, for the collector.
            $cycle = new stdClass();
            [$cycle->self, $cycle->fiber] = [$cycle, $fiber];
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

$first = max(array_keys(get_resources('stream')));
stream_socket_spawn(function () use ($addresses, $clients, $ends_early, &$done) {
    for ($number = 0; $number < $clients; $number++) {
        stream_socket_spawn(function () use ($addresses, &$done) {
            try {
                $client = @stream_socket_client($addresses[mt_rand(0, 3)], $errno, $error, 5);
                $client && live($client);
            } catch (Exception) {
            } finally {
                $done++;
            }
        });
        mt_rand(0, 9) || usleep(mt_rand(0, 1000));
    }
    while ($done < ($ends_early ? $clients / 2 : $clients)) {
        usleep(10000);
    }
    stream_socket_serve_stop();
});
$counters = stream_socket_serve([$server, $datagrams], 'live', ['drain' => $ends_early ? 0.01 : 2,
    'max_connections' => 40, 'idle_timeout' => 5, 'on_error' => fn (Throwable $error, string $peer) => strlen($peer)]);
gc_collect_cycles();
$verdict = [$done === $clients || $ends_early, $counters['accepted'] === $counters['finished']];
