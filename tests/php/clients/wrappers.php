<?php
// What PHP builds upon clients of TLS: https:// straight and by a proxy, fsockopen, streams that persist,
// and how long a silent server is waited for.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$trusted = ['cafile' => holding($root['text'])];
$context = stream_context_create(['ssl' => ['local_cert' => issue('127.0.0.1', $root, 'usr_cert')['file']]]);
$server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
$name = stream_socket_get_name($server, false);

/** Answers requests of HTTP, and other lines in capitals. */
function answer(mixed $server): void
{
    while (true) {
        $served = @stream_socket_accept($server, 20);
        if (!$served) {
            continue;
        }
        while (($line = fgets($served)) !== false) {
            if (!str_starts_with($line, 'GET ')) {
                fwrite($served, strtoupper($line));
                continue;
            }
            while (rtrim((string) fgets($served)) !== '') {
            }
            fwrite($served, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" . str_repeat("$line", 10_000));
            break;
        }
        fclose($served);
    }
}

/** A proxy that knows CONNECT. */
function pass_on(mixed $listener): void
{
    while (true) {
        $client = @stream_socket_accept($listener, 20);
        if (!$client) {
            continue;
        }
        $target = explode(' ', fgets($client))[1];
        while (rtrim((string) fgets($client)) !== '') {
        }
        $behind = stream_socket_client("tcp://$target");
        fwrite($client, "HTTP/1.0 200 go ahead\r\n\r\n");
        while (true) {
            [$read, $write, $except] = [[$client, $behind], null, null];
            stream_select($read, $write, $except, 20);
            foreach ($read as $from) {
                $bytes = fread($from, 8192);
                if ($bytes === '' || $bytes === false) {
                    break 2;
                }
                fwrite($from === $client ? $behind : $client, $bytes);
            }
        }
        fclose($client);
        fclose($behind);
    }
}

$proxy = stream_socket_server('tcp://127.0.0.1:0');
$proxy_name = stream_socket_get_name($proxy, false);
$children = [beside(fn () => answer($server)), beside(fn () => pass_on($proxy))];
$with = fn (array $http, array $ssl = []) => stream_context_create(['http' => $http, 'ssl' => $ssl + $trusted]);

say('https');
say(md5(file_get_contents("https://$name/page", false, $with([]))));
say(md5(file_get_contents("https://$name/page", false, $with(['proxy' => "tcp://$proxy_name"]))));
say(@file_get_contents("https://$name/page", false, $with([], ['peer_name' => 'other.test'])));
$lines = 0;
$page = fopen("https://$name/page", 'r', false, $with([]));
while (($line = fgets($page)) !== false) {
    $lines++;
}
say($lines, $line, feof($page));

say('fsockopen');
// It has no context: the system's authorities are asked, and these are them.
putenv('SSL_CERT_FILE=' . $trusted['cafile']);
[$host, $port] = explode(':', $name);
foreach (['fsockopen', 'fsockopen', 'pfsockopen', 'pfsockopen'] as $i => $open) {
    $client = $open("tls://$host", (int) $port, $number, $text, 10);
    fwrite($client, "hello $i\n");
    say(fgets($client), stream_get_meta_data($client)['crypto']['protocol']);
    if ($open === 'fsockopen') {
        fclose($client);
    }
}
say(stream_socket_get_name($client, false) === stream_socket_get_name(pfsockopen("tls://$host", (int) $port), false));
fclose($client);

say('without waiting');
$flags = STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT;
$client = stream_socket_client("tls://$name", $number, $text, 10, $flags, $with([]));
fwrite($client, "hello\n");
say(fgets($client));
fclose($client);

say('a silent server');
$silent = stream_socket_server('tcp://127.0.0.1:0');
$begin = microtime(true);
say(@stream_socket_client('tls://' . stream_socket_get_name($silent, false), $number, $text, 0.3, 4, $with([])));
$client = stream_socket_client('tcp://' . stream_socket_get_name($silent, false), $number, $text, 0.3, 4, $with([]));
say(stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT));
say(microtime(true) - $begin < 5);
foreach ($children as $child) {
    posix_kill($child, SIGKILL);
    pcntl_waitpid($child, $status);
}
