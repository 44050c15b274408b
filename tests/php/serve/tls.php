<?php
// A Fiber for each connection of a server of TLS: who keeps silent, or is slow, holds up nobody.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$context = serving();
$file = stream_context_get_options($context)['ssl']['local_cert'];
$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);
$plain = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$plain_name = stream_socket_get_name($plain, false);

$child = beside(function () use ($name, $plain_name, $file) {
    $silent = [];
    for ($i = 0; $i < 20; $i++) {
        $silent[] = stream_socket_client("tcp://$name");
        $half = stream_socket_client("tcp://$name");
        fwrite($half, "\x16\x03\x01\x02\x00\x01");
        $silent[] = $half;
    }
    $slow = stream_socket_client("tcp://$plain_name");
    fgets($slow);
    $clients = [];
    for ($i = 0; $i < 5; $i++) {
        $clients[] = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    }
    foreach (array_reverse($clients, true) as $i => $client) {
        fwrite($client, str_repeat('x', 50_000) . " $i\n");
        fwrite(STDOUT, fgets($client));
    }
    $client = stream_socket_client("tcp://$plain_name", $number, $text, 60, 4, trusting($file));
    fgets($client);
    stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    fwrite($client, "in secret\n");
    fwrite(STDOUT, fgets($client));
});

$counts = stream_socket_serve([$server, $plain], function ($stream, string $peer) use ($plain_name) {
    if (stream_socket_get_name($stream, false) === $plain_name) {
        fwrite($stream, "begin\n");
        if (!@stream_socket_enable_crypto($stream, true, STREAM_CRYPTO_METHOD_TLS_SERVER)) {
            return;
        }
    }
    $line = fgets($stream);
    $protocol = stream_get_meta_data($stream)['crypto']['protocol'];
    fwrite($stream, strlen($line) . ' bytes by ' . "$protocol\n");
    if ($line === "in secret\n") {
        stream_socket_serve_stop();
    }
}, ['drain' => 0.2]);
pcntl_waitpid($child, $status);
say($counts['accepted'], $counts['failed']);

// The same by hand: accept parks only the Fiber that calls it.
$fiber = stream_socket_spawn(function () use ($server) {
    $stream = stream_socket_accept($server, 60);
    return fgets($stream) . stream_get_meta_data($server)['handshakes']['finished'];
});
$ticks = stream_socket_spawn(function () use (&$fiber) {
    for ($ticks = 0; !$fiber->isTerminated() && $ticks < 500; $ticks++) {
        usleep(10_000);
    }
    return $ticks;
});
$child = beside(function () use ($name, $file) {
    usleep(100_000);
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    fwrite($client, "by hand\n");
    fgets($client);
});
say(stream_socket_join($fiber), stream_socket_join($ticks) > 3);
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);

// The end of TLS alone, which came with the last bytes: no news of the descriptor's tells of it.
[$told, $tells] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$fiber = stream_socket_spawn(function () use ($server, $told) {
    $stream = stream_socket_accept($server, 60);
    stream_set_timeout($stream, 20);
    fgets($stream);
    fgets($told);
    return [stream_get_contents($stream), stream_get_meta_data($stream)['timed_out']];
});
$child = beside(function () use ($name, $file, $tells) {
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    usleep(100_000);
    fwrite($client, "it is watched from here on\n");
    usleep(100_000);
    fwrite($client, 'the last bytes');
    stream_socket_enable_crypto($client, false);
    fwrite($tells, "sent\n");
    sleep(60);
});
say(...stream_socket_join($fiber));
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);

// What a look has brought is there for the next read, a look has an end, and in a task that is ended it is at once.
$fiber = stream_socket_spawn(function () use ($server, $told) {
    $stream = stream_socket_accept($server, 60);
    stream_set_timeout($stream, 20);
    fgets($stream);
    fwrite($told, "watched\n");
    stream_set_blocking($stream, false);
    while (!stream_socket_recvfrom($stream, 100, STREAM_PEEK));
    stream_set_blocking($stream, true);
    say(fgets($stream));
    stream_set_timeout($stream, 0, 1000);
    say(stream_socket_recvfrom($stream, 1, STREAM_PEEK), stream_get_meta_data($stream)['timed_out']);
    stream_set_timeout($stream, 20);
    stream_socket_spawn(function () use ($stream) {
        try {
            sleep(100);
        } finally {
            say(stream_socket_recvfrom($stream, 1, STREAM_PEEK), 'to its end');
        }
    });
    usleep(1000);
});
$child = beside(function () use ($name, $file, $tells) {
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    usleep(100_000);
    fwrite($client, "it is watched from here on\n");
    fgets($tells);
    usleep(20_000);
    fwrite($client, "looked at\n");
    sleep(60);
});
register_shutdown_function(fn () => posix_kill($child, SIGKILL));
stream_socket_join($fiber);
