<?php
// A name of two addresses, the first of which says nothing: php raced.php, in a network of its own.
require 'server.php';
error_reporting(0);

function client(array $options): string
{
    $context = stream_context_create(['socket' => $options]);
    $client = stream_socket_client('tcp://two.example:4000', $number, $text, 1, 4, $context);
    return $client === false ? "failed, $number" : 'connected to ' . stream_socket_get_name($client, true);
}

/** The same, whichever of the addresses it was. */
function outcome(array $options): string
{
    return preg_replace('/[23]:4000/', 'N:4000', client($options));
}

$child = name_server();
$servers = [];
foreach (['127.0.0.2', '127.0.0.3'] as $ip) {
    $servers["$ip:4000"] = stream_socket_server("tcp://$ip:4000");
}
$first = substr(client([]), strlen('connected to '));
fclose($servers[$first]);
unset($servers[$first]);
// With the places of its backlog taken, it answers nobody.
$silent = stream_socket_server("tcp://$first", $number, $text, 12,
    stream_context_create(['socket' => ['backlog' => 0]]));
$waiting = stream_socket_client("tcp://$first");
echo outcome([]), "\n";
foreach ([['happy_eyeballs' => true], ['happy_eyeballs' => true, 'bindto' => '127.0.0.1:0']] as $options) {
    echo outcome($options), "\n";
    if (function_exists('stream_socket_spawn')) {
        echo stream_socket_join(stream_socket_spawn(outcome(...), $options)), "\n";
    }
}
$servers = [];
echo outcome(['happy_eyeballs' => true]), "\n";
posix_kill($child, SIGKILL);
