<?php
// Calls of stream_select, and nothing else, on MEMBERS connections and, as in any server's loop, those
// who may come: php select_calls.php ADDRESS MEMBERS list|names. The array is a list, or has names for
// keys.
// The first client is told how many are to come, says when, and then how many calls it wants; it is
// told how often a stream was ready in them. Every number is a line of twelve bytes.
[, $address, $members, $by] = $argv;
$context = stream_context_create(['socket' => ['backlog' => 4096]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://$address", $errno, $errstr, $flags, $context);
if (!$server) {
    fwrite(STDERR, "cannot listen on $address: $errstr ($errno)\n");
    exit(1);
}
$none = null;
while (true) {
    $client = stream_socket_accept($server, -1);
    fprintf($client, "%11d\n", $members);
    if (fgets($client) === false) {
        continue; // It only looked whether somebody is there.
    }
    for ($streams = [$server, $client]; count($streams) < $members + 2;) {
        $stream = stream_socket_accept($server, -1, $name);
        $streams[$by === 'names' ? $name : count($streams)] = $stream;
    }
    fprintf($client, "%11d\n", 0);
    while (($calls = fgets($client)) !== false) {
        for ($ready = 0; $calls > 0; $calls--) {
            $readable = $streams;
            $ready += stream_select($readable, $none, $none, null);
        }
        fprintf($client, "%11d\n", $ready);
    }
}
