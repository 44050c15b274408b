<?php
// One signal to the process drains the servers of all threads: who is being served gets an answer still.
// Threads meet by files in the folder $MEETING, which is empty at first.
require __DIR__ . '/check.php';

$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);

function handler(mixed $connection): void
{
    while (($line = fgets($connection)) !== false) {
        fwrite($connection, $line);
    }
}

/** Waits until all threads have come to a point; true in one of them. */
function meet(string $point): bool
{
    $files = getenv('MEETING') . "/$point";
    touch("$files." . bin2hex(random_bytes(8)));
    while (count(glob("$files.*")) < (int) getenv('THREADS')) {
        usleep(1000);
    }
    return @mkdir($files);
}

stream_socket_spawn(function () use ($address) {
    $client = stream_socket_client("tcp://$address", $errno, $error, 20);
    fwrite($client, "one\n");
    check(fgets($client) === "one\n", 'nothing is served');
    if (meet('served')) {
        posix_kill(getmypid(), SIGTERM);
    }
    fwrite($client, "two\n");
    check(fgets($client) === "two\n", 'a client is not served to the end');
});
$counters = stream_socket_serve($server, 'handler', ['drain' => 20]);
check($counters['finished'] === 1 && $counters['ended'] === 0, 'counters: ' . json_encode($counters));
