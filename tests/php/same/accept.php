<?php
// Section 5: how long accept waits, what it warns of, and what it returns.
require __DIR__ . '/../report.php';

/** What an accept gives, the peer it names, and whether it took at least so many milliseconds. */
function accepted(mixed $server, ?float $timeout, int $least = 0): array
{
    $peer = 'untouched';
    $start = hrtime(true);
    $stream = stream_socket_accept($server, $timeout, $peer);
    return [is_resource($stream), $peer, (hrtime(true) - $start) / 1e6 >= $least];
}

/** A child that does something a little later. */
function later(callable $what): void
{
    if (pcntl_fork() === 0) {
        usleep(50000);
        $what();
        // Without the report of the parent's shutdown functions.
        posix_kill(posix_getpid(), SIGKILL);
    }
}
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = 'tcp://' . stream_socket_get_name($server, false);
$udp = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$closed = stream_socket_server('tcp://127.0.0.1:0');
[$client, $served] = connected();
$path = socket_path();
$nodelay = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
pcntl_signal(SIGUSR1, fn () => say('signalled'));
table([
    'at once' => fn () => accepted($server, 0),
    'under a millisecond' => fn () => accepted($server, 0.0009),
    'a while' => fn () => accepted($server, 0.05, 50),
    'not blocking: a while' => fn () => [stream_set_blocking($server, false), accepted($server, 0.05, 50)],
    'blocking again' => fn () => stream_set_blocking($server, true),
    'NAN' => fn () => accepted($server, NAN),
    'below 0, for ever' => function () use ($server, $address) {
        later(fn () => stream_socket_client($address));
        return is_resource(stream_socket_accept($server, -1));
    },
    'a signal' => function () use ($server) {
        $parent = getmypid();
        later(fn () => posix_kill($parent, SIGUSR1));
        return [accepted($server, 5), pcntl_signal_dispatch()];
    },
    'udp, nothing there' => fn () => accepted($udp, 0.01),
    'shut down' => fn () => [stream_socket_shutdown($closed, STREAM_SHUT_RDWR), accepted($closed, 0.01)],
    'unix, shut down' => function () use ($path) {
        $server = stream_socket_server("unix://$path");
        $early = stream_socket_client("unix://$path");
        return [stream_socket_shutdown($server, STREAM_SHUT_RD), await($server),
            array_map(fn () => accepted($server, 0.05)[0], range(1, 3))];
    },
    'udg, shut down' => function () use ($path) {
        $server = stream_socket_server("udg://$path.udg", $number, $text, STREAM_SERVER_BIND);
        return [stream_socket_shutdown($server, STREAM_SHUT_RDWR), await($server), unlink("$path.udg")];
    },
    'connected, readable' => fn () => [fwrite($served, 'x'), await($client), accepted($client, 0.01)],
    'connected, read after' => fn () => fread($client, 9),
    'a pair' => fn () => accepted(stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)[0], 0),
    'memory' => fn () => accepted(fopen('php://memory', 'r'), 0),
    'a listener: feof' => function () use ($server, $address) {
        $idle = feof($server);
        $client = stream_socket_client($address);
        $ready = await($server);
        return [$idle, $ready, feof($server), feof($server), is_resource(stream_socket_accept($server, 1))];
    },
    'a listener: data' => fn () => [fwrite($server, 'x'), stream_get_meta_data($server)['timed_out']],
    'many' => function () use ($server, $address) {
        $clients = array_map(fn () => stream_socket_client($address), range(1, 5));
        $peers = [];
        foreach ($clients as $client) {
            stream_socket_accept($server, 1, $peer);
            $peers[] = $peer === stream_socket_get_name($client, false);
        }
        return $peers;
    },
    'blocking, and with the timeout of its listener' => function () use ($server, $address) {
        stream_set_timeout($server, 0, 50000);
        stream_set_blocking($server, false);
        $client = stream_socket_client($address);
        $served = stream_socket_accept($server, 1);
        $start = hrtime(true);
        return [stream_get_meta_data($served)['blocked'], fread($served, 9), (hrtime(true) - $start) / 1e6 >= 50,
            stream_get_meta_data($served)['timed_out']];
    },
    'options of its listener' => function () use ($nodelay) {
        $server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $nodelay);
        $client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
        $served = stream_socket_accept($server, 1);
        return [stream_context_get_options($served), stream_get_meta_data($served)['stream_type'],
            socket_get_option(socket_import_stream($served), SOL_TCP, TCP_NODELAY)];
    },
]);
while (pcntl_wait($status) > 0) {
}
