<?php
// A server of TLS in a crowd: 600 clients that keep silent, 200 that send garbage and 200 that stop in
// the middle, from eight addresses, and honest ones between them; then the same in four processes on
// one listener. Every honest client is served.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

const HONEST = 60;

/** Connects from one of eight addresses. */
function from(int $number, string $name, array $options = []): mixed
{
    $address = '127.0.0.' . (2 + $number % 8) . ':0';
    $context = stream_context_create(['socket' => ['bindto' => $address]] + $options);
    return stream_socket_client($name, $code, $text, 60, STREAM_CLIENT_CONNECT, $context);
}

/** The hostile ones come, and then the honest: how many were answered, and how long each took. */
function crowd(string $name, string $file): array
{
    $hostile = [];
    for ($i = 0; $i < 1000; $i++) {
        $client = from($i, "tcp://$name");
        if ($i % 5 === 3) {
            fwrite($client, "GET / HTTP/1.0\r\n\r\n");
        } elseif ($i % 5 === 4) {
            fwrite($client, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
        }
        $hostile[] = $client;
    }
    $ssl = ['ssl' => ['cafile' => $file, 'peer_name' => 'localhost']];
    [$answered, $times] = [0, []];
    for ($i = 0; $i < HONEST; $i++) {
        $begin = microtime(true);
        $client = from($i, "tls://$name", $ssl);
        fwrite($client, "question $i\n");
        $answered += fgets($client) === "answer $i\n" ? 1 : 0;
        $times[] = 1000 * (microtime(true) - $begin);
        usleep(10_000);
    }
    sort($times);
    fprintf(STDERR, "p50 %.1f ms, p99 %.1f ms\n", $times[intdiv(HONEST, 2)], $times[intdiv(HONEST * 99, 100)]);
    return [$answered, count($hostile)];
}

/** Accepts until told to end, with a select before accepts that have no timeout, or with accepts alone. */
function serve(mixed $server, bool $selects): void
{
    for (;;) {
        if ($selects) {
            [$read, $write, $except] = [[$server], null, null];
            stream_select($read, $write, $except, null);
        }
        $served = @stream_socket_accept($server, $selects ? 0 : -1);
        if ($served) {
            fwrite($served, str_replace('question', 'answer', fgets($served)));
            fclose($served);
        }
    }
}

foreach ([['accept', 1, false], ['select and accept', 1, true], ['four processes', 4, false]] as [$what, $processes, $selects]) {
    $context = stream_context_create(['ssl' => ['local_cert' => $file = certificate()], 'socket' => ['backlog' => 4096]]);
    $server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
    $name = stream_socket_get_name($server, false);
    $children = [];
    for ($i = 0; $i < $processes; $i++) {
        $children[] = beside(fn () => serve($server, $selects));
    }
    say($what, crowd($name, $file));
    foreach ($children as $child) {
        posix_kill($child, SIGKILL);
        pcntl_waitpid($child, $status);
    }
    fclose($server);
}
