<?php
// A stream that carries TLS, where stock PHP goes around it or says nothing.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$context = serving();
$file = stream_context_get_options($context)['ssl']['local_cert'];

say('plain bytes ahead of TLS');
$server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);
$child = beside(function () use ($name, $file) {
    $client = stream_socket_client("tcp://$name", $number, $text, 60, 4, trusting($file));
    fwrite($client, "STARTTLS\nMAIL FROM:<mallory@localhost>\n");
    fgets($client);
    @stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    @fwrite($client, "QUIT\n");
    @fgets($client);
});
$served = stream_socket_accept($server, 60);
say(fgets($served));
fwrite($served, "begin\n");
say(stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));
$line = fgets($served);
say(str_starts_with($line, 'MAIL') ? $line : 'nothing of it is taken for secret');
fclose($served);
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);

say('recvfrom and sendto');
$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);
$child = beside(function () use ($name, $file) {
    $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
    fwrite($client, "hello\n");
    $line = @fgets($client);
    @fwrite($client, $line === "answer\n" ? "understood\n" : "what?\n");
    @fgets($client);
});
$served = stream_socket_accept($server, 60);
say(ctype_print(trim($peeked = stream_socket_recvfrom($served, 100, STREAM_PEEK))) ? $peeked : 'what TLS is made of');
say(ctype_print(trim($taken = stream_socket_recvfrom($served, 100))) ? $taken : 'what TLS is made of');
stream_socket_sendto($served, "answer\n");
say(@fgets($served));
fclose($served);
posix_kill($child, SIGKILL);
pcntl_waitpid($child, $status);

say('an end without close_notify');
foreach ([true, false] as $is_killed) {
    $child = beside(function () use ($name, $file, $is_killed) {
        $client = stream_socket_client("tls://$name", $number, $text, 60, 4, trusting($file));
        fgets($client);
        fwrite($client, "part of something\n");
        if ($is_killed) {
            posix_kill(posix_getpid(), SIGKILL);
        }
        fclose($client);
    });
    $served = stream_socket_accept($server, 60);
    fwrite($served, "begin\n");
    say(stream_get_contents($served), feof($served), stream_get_meta_data($served)['crypto']['truncated'] ?? 'not told');
    fclose($served);
    pcntl_waitpid($child, $status);
}

say('a handshake that has failed');
$server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
fwrite($client, "this is no handshake\n");
$served = stream_socket_accept($server, 60);
say(@stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));
say(fwrite($served, 'a secret'));
