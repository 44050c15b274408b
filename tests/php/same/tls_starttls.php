<?php
// TLS that is begun on a connection: a mail server that speaks STARTTLS, blocking and not.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

/** Answers a dialogue of SMTP; what it came to. */
function converse(mixed $stream): array
{
    $seen = [];
    fwrite($stream, "220 ready\r\n");
    while (($line = fgets($stream)) !== false) {
        $seen[] = rtrim($line);
        switch (strtok(rtrim($line), ' ')) {
            case 'EHLO':
                fwrite($stream, "250-localhost\r\n250 STARTTLS\r\n");
                break;
            case 'STARTTLS':
                fwrite($stream, "220 go ahead\r\n");
                $seen[] = stream_socket_enable_crypto($stream, true, STREAM_CRYPTO_METHOD_TLS_SERVER);
                $seen[] = stream_get_meta_data($stream)['crypto']['protocol'];
                break;
            case 'QUIT':
                fwrite($stream, "221 bye\r\n");
                return $seen;
            default:
                fwrite($stream, "250 ok\r\n");
        }
    }
    return $seen;
}

function send_mail(string $name, string $file): array
{
    $client = stream_socket_client("tcp://$name", $number, $text, 60, 4, trusting($file));
    $seen = [fgets($client)];
    $ask = function (string $line) use ($client, &$seen) {
        fwrite($client, "$line\r\n");
        do {
            $seen[] = rtrim($answer = fgets($client));
        } while ($answer[3] === '-');
    };
    $ask('EHLO me');
    $ask('STARTTLS');
    $seen[] = stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    $ask('EHLO me');
    $ask('MAIL FROM:<a@localhost>');
    $ask('QUIT');
    return $seen;
}

$context = serving();
$file = stream_context_get_options($context)['ssl']['local_cert'];
$server = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);

say('-- blocking');
$child = beside(function () use ($name, $file) {
    file_put_contents("$file.seen", implode("\n", send_mail($name, $file)));
});
$served = stream_socket_accept($server, 60);
say(...converse($served));
pcntl_waitpid($child, $status);
say(file_get_contents("$file.seen"));
unlink("$file.seen");
say(stream_get_meta_data($served)['stream_type']);
say(stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));

say('-- not blocking');
$child = beside(function () use ($name, $file) {
    $client = stream_socket_client("tcp://$name", $number, $text, 60, 4, trusting($file));
    fgets($client);
    usleep(50_000);
    stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    fwrite($client, "in secret\n");
    fgets($client);
});
$served = stream_socket_accept($server, 60);
fwrite($served, "begin\n");
stream_set_blocking($served, false);
$results = [];
while (($result = stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER)) === 0) {
    $results['waits'] = true;
    [$read, $write, $except] = [[$served], null, null];
    stream_select($read, $write, $except, 5);
}
say($results, $result, stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));
[$read, $write, $except] = [[$served], null, null];
say(stream_select($read, $write, $except, 5), fgets($served), fgets($served), feof($served));
fwrite($served, "end\n");
pcntl_waitpid($child, $status);

say('-- a peer that goes away, and one that keeps silent');
$child = beside(function () use ($name) {
    $client = stream_socket_client("tcp://$name");
    fgets($client);
});
$served = stream_socket_accept($server, 60);
fwrite($served, "begin\n");
say(@stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));
pcntl_waitpid($child, $status);
$silent = stream_socket_client("tcp://$name");
$served = stream_socket_accept($server, 60);
stream_set_timeout($served, 0, 200_000);
say(stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER));

say('-- without a certificate, and without a method');
$server = stream_socket_server('tcp://127.0.0.1:0');
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
$served = stream_socket_accept($server, 60);
attempt(fn () => stream_socket_enable_crypto($served, true));
say(stream_socket_enable_crypto($served, false));
