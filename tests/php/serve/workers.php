<?php
// Processes that share a server, and are replaced. The clients are a process of their own.
if (($argv[1] ?? '') === 'clients') {
    ask($argv[2]);
    exit(0);
}

function answer(string $address, string $command): mixed
{
    $client = stream_socket_client("tcp://$address");
    fwrite($client, "$command\n");
    return fgets($client);
}

function ask(string $address): void
{
    $workers = [];
    $clients = [];
    for ($number = 0; $number < 60; $number++) {
        $clients[] = $client = stream_socket_client("tcp://$address");
        fwrite($client, "who\n");
        $workers[fgets($client)] = true;
    }
    echo json_encode(['several workers' => count($workers) > 1]), "\n";
    foreach (['killed', 'exits', 'exhausts'] as $ending) {
        echo "$ending: ", json_encode(answer($address, $ending)), "\n";
    }
    // Who replaces them answers, in whatever time it takes to start.
    for ($number = 0, $others = 0; $number < 30; $number++) {
        $others += !isset($workers[answer($address, 'who')]);
        usleep(20000);
    }
    echo 'others: ', json_encode($others > 0), "\n";
    posix_kill(posix_getppid(), SIGTERM);
    foreach ($clients as $client) {
        fwrite($client, "bye\n");
    }
}

ini_set('display_errors', '0');
ini_set('log_errors', '0');
$warnings = [];
set_error_handler(function ($level, $message) use (&$warnings) {
    $warnings[] = "$message\n";
    return true;
});
$server = stream_socket_server('tcp://127.0.0.1:0');
$parent = getmypid();
$clients = proc_open([PHP_BINARY, __FILE__, 'clients', stream_socket_get_name($server, false)], [], $pipes);
$counters = stream_socket_serve($server, function ($connection) {
    while (($line = fgets($connection)) !== false) {
        match (trim($line)) {
            'who' => fwrite($connection, getmypid() . "\n"),
            'bye' => fclose($connection),
            'killed' => posix_kill(getmypid(), SIGKILL),
            'exits' => exit(7),
            'exhausts' => [ini_set('memory_limit', '8M'), str_repeat('x', 1 << 30)],
        };
        if (!is_resource($connection)) {
            return;
        }
    }
}, ['workers' => 3, 'drain' => 20]);
proc_close($clients);
sort($warnings);
echo implode($warnings);
echo json_encode([getmypid() === $parent, $counters['restarts'], $counters['accepted'] >= 93]), "\n";
