<?php
// Each call of the extension's inside, once: the test makes one after the other panic. Whichever it
// is, this goes on to its last line.
set_error_handler(fn () => true);
ini_set('default_socket_timeout', '1');
register_shutdown_function(fn () => print("alive\n"));

function tried(callable $call): mixed
{
    try {
        return $call();
    } catch (Error $fault) {
        echo get_class($fault), ': ', $fault->getMessage(), "\n";
        return null;
    }
}

/** Both ends of a connection, and its listener; null where one of them is what panicked. */
function ends(string $address, int $flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN): array
{
    $listener = tried(fn () => stream_socket_server($address, $number, $text, $flags));
    if (!$listener) {
        return [null, null, null];
    }
    $transport = strstr($address, '://', true);
    $name = tried(fn () => stream_socket_get_name($listener, false));
    $client = $name ? tried(fn () => stream_socket_client("$transport://$name")) : null;
    if ($client && $flags === STREAM_SERVER_BIND) {
        tried(fn () => fwrite($client, 'first'));
    }
    return [$client, $client ? tried(fn () => stream_socket_accept($listener, 0.1)) : null, $listener];
}

function exercised(mixed $client, mixed $served): void
{
    if (!$client || !$served) {
        return;
    }
    tried(fn () => fwrite($client, "one\ntwo\n"));
    tried(fn () => stream_set_timeout($served, 0, 10000));
    foreach (['fgets', 'fgetss', 'feof', 'stream_get_meta_data'] as $function) {
        tried(fn () => $function($served));
    }
    tried(fn () => stream_socket_sendto($client, 'three'));
    tried(fn () => stream_socket_recvfrom($served, 100, STREAM_PEEK, $peer));
    tried(fn () => stream_socket_recvfrom($served, 100, 0, $peer));
    [$read, $write, $except] = [[$served], [$client], null];
    tried(function () use ($read, $write, $except) {
        return stream_select($read, $write, $except, 0, 1000);
    });
    tried(fn () => stream_set_blocking($client, false));
    tried(fn () => fread($client, 10));
    foreach ([false, true] as $remote) {
        tried(fn () => stream_socket_get_name($served, $remote));
    }
    tried(fn () => fstat($served));
    tried(fn () => stream_socket_shutdown($client, STREAM_SHUT_WR));
    tried(fn () => stream_get_contents($served));
}

$path = sys_get_temp_dir() . '/stream_socket_panics.' . getmypid();
register_shutdown_function(fn () => @unlink($path));
$kept = [ends('tcp://127.0.0.1:0'), ends("unix://$path")];
$kept[] = ends('udp://127.0.0.1:0', STREAM_SERVER_BIND);
foreach ($kept as [$client, $served]) {
    exercised($client, $served);
}
$kept[] = tried(fn () => stream_socket_client('tcp://127.0.0.1:1', $number, $text, 1, STREAM_CLIENT_ASYNC_CONNECT));
$kept[] = tried(fn () => stream_socket_client('tcp://nowhere', $number, $text));
[$client, $served, $listener] = ends('tcp://127.0.0.1:0');
if ($client && $served) {
    tried(fn () => stream_set_blocking($client, false));
    tried(fn () => stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT));
    tried(fn () => socket_import_stream($served));
    tried(fn () => proc_close(proc_open(['true'], [$served, $served], $pipes)));
    tried(fn () => fclose($served));
}
// What is open still is closed by PHP, where nobody can catch anything.
