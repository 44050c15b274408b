<?php
// A server in each thread: it serves its own clients, and when it stops, those of other threads go on.
require __DIR__ . '/check.php';

const CLIENTS = 20;

$name = bin2hex(random_bytes(8));
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);

function handler(mixed $connection): void
{
    while (($line = fgets($connection)) !== false) {
        usleep(mt_rand(0, 300));
        fwrite($connection, "$GLOBALS[name] $line");
    }
}

function client(int $number): void
{
    $client = stream_socket_client("tcp://$GLOBALS[address]", $errno, $error, 20);
    for ($round = 0; $round < 5; $round++) {
        fwrite($client, "$number.$round\n");
        $answer = fgets($client);
        check($answer === "$GLOBALS[name] $number.$round\n", 'client ' . json_encode([$number, $round, $answer]));
    }
}

/** A client that is no part of the process. */
function outsider(): void
{
    $answers = tempnam(sys_get_temp_dir(), 'threads');
    $files = [['pipe', 'r'], ['file', $answers, 'w']];
    $process = proc_open(['socat', '-t20', '-', "TCP:$GLOBALS[address]"], $files, $pipes);
    fwrite($pipes[0], "from outside\n");
    fclose($pipes[0]);
    while (proc_get_status($process)['running']) {
        usleep(1000);
    }
    $answer = file_get_contents($answers);
    unlink($answers);
    check($answer === "$GLOBALS[name] from outside\n", 'outside: ' . json_encode($answer));
}

stream_socket_spawn(function () {
    try {
        $clients = array_map(fn (int $number) => stream_socket_spawn('client', $number), range(1, CLIENTS));
        $clients[] = stream_socket_spawn('outsider');
        array_map('stream_socket_join', $clients);
        usleep(mt_rand(0, 20000));
    } finally {
        stream_socket_serve_stop();
    }
});
$counters = stream_socket_serve($server, 'handler', ['drain' => 20]);
$expected = ['accepted' => CLIENTS + 1, 'finished' => CLIENTS + 1, 'failed' => 0, 'ended' => 0];
check(array_intersect_key($counters, $expected) === $expected, 'counters: ' . json_encode($counters));
