<?php
// Limits in time and number, each with its lower bound exact.
function serve(callable $handler, array $options, callable $client): array
{
    $server = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($server, false);
    $task = stream_socket_spawn(function () use ($client, $address) {
        $client("tcp://$address");
        stream_socket_serve_stop();
    });
    $counters = stream_socket_serve($server, $handler, $options + ['drain' => 1]);
    stream_socket_join($task);
    return $counters;
}

function told(string $what, mixed $said): void
{
    echo "$what: ", json_encode($said), "\n";
}

function clocked(callable $act): array
{
    $begun = microtime(true);
    return [$act(), microtime(true) - $begun];
}

serve(function ($connection) {
    [$line, $took] = clocked(fn () => fgets($connection));
    told('read_timeout', [$line, $took >= 0.1, stream_get_meta_data($connection)['timed_out'], feof($connection)]);
    fwrite($connection, "too late\n");
}, ['read_timeout' => 0.1], fn ($url) => fgets(stream_socket_client($url)));

// For ever, where the connections' own limit is none at all.
ini_set('default_socket_timeout', '0');
serve(function ($connection) {
    told('read_timeout INF', fgets($connection));
}, ['read_timeout' => INF], function ($url) {
    $client = stream_socket_client($url, $number, $text, 60);
    usleep(20000);
    fwrite($client, "awaited\n");
});
ini_restore('default_socket_timeout');

serve(function ($connection) {
    [$written, $took] = clocked(fn () => @fwrite($connection, str_repeat('x', 50_000_000)));
    told('write_timeout', [$written > 0 && $written < 50_000_000, $took >= 0.1, $took < 10]);
}, ['write_timeout' => 0.1], function ($url) {
    $client = stream_socket_client($url);
    sleep(1);
});

serve(function ($connection) {
    told('before', fgets($connection));
    stream_set_timeout($connection, 0, 60000);
    // Reads that time out do not count as something that moved.
    for ($reads = 1; !feof($connection) && ($line = fgets($connection)) === false; $reads++);
    [$line, $took] = clocked(fn () => fgets($connection));
    $data = stream_get_meta_data($connection);
    told('idle_timeout', [$reads > 1, $line, $took < 0.1, $data['timed_out'], $data['socket']['error_message'], @fwrite($connection, 'x')]);
}, ['idle_timeout' => 0.2], function ($url) {
    $client = stream_socket_client($url);
    usleep(100000);
    fwrite($client, "hello\n");
    [$line, $took] = clocked(fn () => fgets($client));
    told('its client', [$line, $took >= 0.2, $took < 10]);
});

$most = $here = 0;
$counters = serve(function ($connection) use (&$most, &$here) {
    $most = max($most, ++$here);
    usleep(20000);
    fwrite($connection, "done\n");
    $here--;
}, ['max_connections' => 3], function ($url) {
    $tasks = array_map(fn () => stream_socket_spawn(fn () => fgets(stream_socket_client($url))), range(1, 10));
    told('max_connections', array_count_values(array_map('stream_socket_join', $tasks)));
});
told('at most', [$most, $counters['peak'], $counters['accepted']]);

$counters = serve(fn ($connection) => fwrite($connection, "served\n"), ['limit' => 4], function ($url) {
    $tasks = array_map(fn () => stream_socket_spawn(fn () => fgets(stream_socket_client($url))), range(1, 4));
    told('limit', array_map('stream_socket_join', $tasks));
});
told('served', $counters['accepted']);

[$counters, $took] = clocked(fn () => serve(function ($connection) {
    fgets($connection);
    fwrite($connection, "finished\n");
}, ['drain' => 60], function ($url) {
    $client = stream_socket_client($url);
    usleep(10000);
    stream_socket_spawn(function () use ($client) {
        usleep(100000);
        fwrite($client, "now\n");
    });
}));
told('in time', [$took < 30, $counters['ended']]);
