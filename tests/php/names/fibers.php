<?php
// Names that are looked up while others go on: php fibers.php, in a network of its own.
require 'server.php';
ini_set('display_errors', '0');
set_error_handler(fn (int $level, string $text) => error_reporting() & $level && print("$text\n"));

function tried(string $url, float $timeout, int $flags = STREAM_CLIENT_CONNECT): string
{
    $began = microtime(true);
    $client = stream_socket_client($url, $number, $text, $timeout, $flags);
    $is_late = microtime(true) - $began > $timeout + 2;
    return ($client ? stream_socket_get_name($client, true) : "$number $text") . ($is_late ? ', late' : '');
}

/** What the tasks return, in their order. */
function all(array $tasks): array
{
    return array_map('stream_socket_join', array_map('stream_socket_spawn', $tasks));
}

function threads(): int
{
    $names = array_map(fn ($path) => @file_get_contents($path), glob('/proc/self/task/*/comm'));
    return count(array_keys($names, "resolve\n"));
}

$child = name_server();
$server = stream_socket_server('tcp://127.0.0.1:4000');
$datagrams = stream_socket_server('udp://127.0.0.1:4000', $number, $text, STREAM_SERVER_BIND);

// A worker has no thread of its parent's.
$workers = stream_socket_server('tcp://127.0.0.1:4002');
@tried('tcp://silent.example:1', 0.1);
$worker = pcntl_fork();
if ($worker === 0) {
    stream_socket_serve($workers, function ($client) {
        fwrite($client, tried('tcp://late.example:4000', 2) . "\n");
    }, ['workers' => 1, 'limit' => 1]);
    exit;
}
echo 'a worker: ', fgets(stream_socket_client('tcp://127.0.0.1:4002'));
posix_kill($worker, SIGTERM);
pcntl_waitpid($worker, $status);
fclose($workers);

// One waits for a name, others go on.
$silent = stream_socket_spawn(tried(...), 'tcp://silent.example:4000', 1);
$trips = 0;
stream_socket_spawn(function () use ($silent, &$trips) {
    [$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    for (; !$silent->isTerminated(); $trips++) {
        fwrite($one, "x\n");
        fgets($other);
        usleep(1000);
    }
});
echo stream_socket_join($silent), ', others ', $trips > 20 ? 'went on' : "waited: $trips", "\n";

foreach ([
    ['tcp://late.example:4000', 5],
    ['tcp://3late.example:4000', 5],
    ['tcp://late.example:4000', 5, STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT],
    ['udp://late.example:4000', 5],
    ['tcp://late.example:4000', 0.02],
    ['tcp://two.example:4001', 5],
] as $arguments) {
    $trips = 0;
    [$told] = all([fn () => tried(...$arguments), function () use (&$trips) {
        for (; $trips < 20; $trips++) {
            usleep(1000);
        }
    }]);
    echo "$arguments[0]: $told\n";
}

// Their time is that of all addresses: when it is up, no other is tried.
$backlog = stream_context_create(['socket' => ['backlog' => 1]]);
$full = stream_socket_server('tcp://127.0.0.2:4005', $number, $text, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $backlog);
$next = stream_socket_server('tcp://127.0.0.3:4005');
$flags = STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT;
for ($fill = []; count($fill) < 4;) {
    $fill[] = stream_socket_client('tcp://127.0.0.2:4005', $number, $text, 5, $flags);
}
[$told] = all([fn () => tried('tcp://two.example:4005', 0.3)]);
echo $told, @stream_socket_accept($next, 0) ? ', and somebody came' : ', and nobody came', "\n";
unset($full, $next, $fill);

[$name] = all([fn () => stream_socket_get_name(stream_socket_server('tcp://late.example:0'), false)]);
echo 'bound to ', strtok($name, ':'), "\n";

// More than there are threads for: each ends by its own time.
$told = all(array_fill(0, 40, fn () => @tried('tcp://silent.example:4000', 0.2)));
echo json_encode(array_count_values($told)), threads() > 32 ? ', too many threads' : '', "\n";

// Another Fiber closes what is not open yet.
$opening = stream_socket_spawn(tried(...), 'tcp://silent.example:4000', 30);
all([function () use ($server) {
    usleep(1000);
    foreach (get_resources('stream') as $stream) {
        if (stream_get_meta_data($stream)['stream_type'] === 'tcp_socket/ssl' && $stream !== $server) {
            echo json_encode(fclose($stream)), " closed\n";
        }
    }
}]);
echo stream_socket_join($opening), "\n";

// Those who wait are ended, and what they begin then fails.
$server = stream_socket_server('tcp://127.0.0.1:4003');
stream_socket_spawn(function () {
    for ($number = 0; $number < 3; $number++) {
        stream_socket_client('tcp://127.0.0.1:4003');
    }
    usleep(50000);
    stream_socket_serve_stop();
});
$began = microtime(true);
$counters = stream_socket_serve($server, function () {
    try {
        @tried('tcp://silent.example:4000', 30);
    } finally {
        echo @tried('tcp://silent.example:4000', 30), "\n";
    }
}, ['drain' => 0.1]);
echo "$counters[ended] ended", microtime(true) - $began > 5 ? ', late' : '', "\n";
posix_kill($child, SIGKILL);
