<?php
// Clients of TLS in Fibers: a server that keeps silent holds up no one but who asks it, and no longer
// than connecting may take.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$trusted = ['cafile' => holding($root['text']), 'peer_name' => 'site.test'];
$site = ['local_cert' => issue('site.test', $root, 'usr_cert')['file']];
$context = stream_context_create(['ssl' => $site]);
$honest = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
$silent = stream_socket_server('tcp://127.0.0.1:0');

$ask = function (mixed $server, float $timeout, array $options = []) use ($trusted): string {
    $name = stream_socket_get_name($server, false);
    $context = stream_context_create(['ssl' => $options + $trusted]);
    $client = @stream_socket_client("tls://$name", $number, $text, $timeout, 4, $context);
    if (!$client) {
        return "failed: $text";
    }
    fwrite($client, "hello\n");
    return fgets($client);
};
stream_socket_spawn(function () use ($honest) {
    $served = stream_socket_accept($honest, 10);
    fwrite($served, strtoupper(fgets($served)));
});
$begin = microtime(true);
$fibers = [
    'silent' => stream_socket_spawn(fn () => $ask($silent, 0.3)),
    'silent, by its context' => stream_socket_spawn(fn () => $ask($silent, 20, ['handshake_timeout' => 0.3])),
    'honest' => stream_socket_spawn(fn () => $ask($honest, 10)),
    'honest, of another name' => stream_socket_spawn(fn () => $ask($honest, 10, ['peer_name' => 'other.test'])),
];
$order = [];
foreach ($fibers as $name => $fiber) {
    $fiber = stream_socket_spawn(function () use ($name, $fiber, &$order) {
        $order[] = "$name: " . trim(stream_socket_join($fiber));
    });
    $fibers[$name] = $fiber;
}
array_map(stream_socket_join(...), $fibers);
sort($order);
say(...$order);
say(microtime(true) - $begin < 5);
