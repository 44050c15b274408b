<?php
// Accept on a listener of TLS: whom a client can hold up that keeps silent, sends garbage or stops
// in the middle, and how long accept itself waits.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';
ini_set('default_socket_timeout', '1');

function greet(string $name): int
{
    return beside(function () use ($name) {
        $client = stream_socket_client("tls://$name", $number, $text, 60, 4, careless());
        fwrite($client, "hello\n");
        fgets($client);
    });
}

function timed(callable $call): mixed
{
    $begin = microtime(true);
    $result = $call();
    $seconds = microtime(true) - $begin;
    say('within ' . ($seconds < 0.25 ? 'a quarter of a second' : ($seconds < 0.75 ? 'half a second' : 'seconds')));
    return $result;
}

$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, serving());
$name = stream_socket_get_name($server, false);

say('a silent client, and accept with half a second');
$silent = stream_socket_client("tcp://$name");
say(timed(fn () => @stream_socket_accept($server, 0.5)));

say('an honest one behind the silent one');
$second = stream_socket_client("tcp://$name");
usleep(10_000);
$child = greet($name);
$served = timed(function () use ($server, &$peer) {
    return @stream_socket_accept($server, 60, $peer);
});
say($served ? fgets($served) : 'nobody', $peer === null ? 'no name' : 'a name');
if ($served) {
    fwrite($served, "bye\n");
} else {
    // It waits behind the silent ones.
    $served = @stream_socket_accept($server, 60);
    say($served ? fgets($served) : 'nobody');
}
pcntl_waitpid($child, $status);

say('garbage');
$garbage = stream_socket_client("tcp://$name");
fwrite($garbage, str_repeat('no TLS at all ', 20));
say(timed(fn () => @stream_socket_accept($server, 0.5)));

say('select');
$fresh = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, serving());
$name = stream_socket_get_name($fresh, false);
$silent = stream_socket_client("tcp://$name");
[$read, $write, $except] = [[$fresh], null, null];
say(stream_select($read, $write, $except, 0, 300_000));
$child = greet($name);
usleep(100_000);
[$read, $write, $except] = [[$fresh], null, null];
say(stream_select($read, $write, $except, 5));
$served = @stream_socket_accept($fresh, 0);
say($served ? fgets($served) : 'nobody');
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);
