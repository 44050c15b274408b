<?php
// Clients that are all there at once, and some that say nothing, on stock PHP:
// php clients.php URL COUNT SILENT. Says how many were told the time twice.
[, $url, $count, $silent] = $argv;
ini_set('memory_limit', '1G');

function connect(string $url): mixed
{
    $client = stream_socket_client($url, $errno, $error, 60);
    if (!$client) {
        exit("$error\n");
    }
    stream_set_timeout($client, 60);
    return $client;
}

// A datagram may be lost where too many come at once: over udp few at a time ask.
function ask(array $clients, bool $is_udp): int
{
    $told = 0;
    foreach (array_chunk($clients, $is_udp ? 50 : 20000) as $some) {
        foreach ($some as $client) {
            fwrite($client, "What time is it?\n");
        }
        foreach ($some as $client) {
            $told += preg_match('~^The local time is \d+/\d+/\d+ \d+:\d+ [ap]m\n$~', (string) fgets($client));
        }
    }
    return $told;
}

$is_udp = str_starts_with($url, 'udp');
$silent = array_map(fn () => connect($url), range(1, $silent));
$clients = array_map(fn () => connect($url), range(1, $count));
echo json_encode([ask($clients, $is_udp), ask($clients, $is_udp)]), "\n";
