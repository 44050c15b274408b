<?php
// Servers of TLS that verify their clients: whom a silent one holds up, whose certificate is in whose
// context, and what is told of those who are refused. Then certificates of odd kinds.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';
ini_set('default_socket_timeout', '1');

$root = issue('Root');
$one = issue('one.test', $root, 'usr_cert');
$two = issue('two.test', $root, 'usr_cert');
$own = issue('own.test');
$server_options = [
    'local_cert' => issue('localhost')['file'],
    'cafile' => holding($root['text']),
    'verify_peer' => true,
    'capture_peer_cert' => true,
];

function listening(array $options): array
{
    $context = stream_context_create(['ssl' => $options]);
    $server = stream_socket_server('tls://127.0.0.1:0', $number, $text, 12, $context);
    return [$server, stream_socket_get_name($server, false), $context];
}

function showing(string $name, array $identity): int
{
    return beside(function () use ($name, $identity) {
        $context = careless(['local_cert' => $identity['file']]);
        $client = @stream_socket_client("tls://$name", $number, $text, 60, 4, $context);
        @fgets($client);
    });
}

function ended(int ...$children): void
{
    foreach ($children as $child) {
        posix_kill($child, SIGKILL);
        pcntl_waitpid($child, $status);
    }
}

function captured(mixed $holder): string
{
    $certificate = stream_context_get_options($holder)['ssl']['peer_certificate'] ?? null;
    return $certificate ? openssl_x509_parse($certificate)['subject']['CN'] : 'none';
}

say('behind a silent client');
[$server, $name, $context] = listening($server_options);
$silent = stream_socket_client("tcp://$name");
usleep(10_000);
$child = showing($name, $one);
$first = @stream_socket_accept($server, 0.9);
say($first ? 'served' : 'nobody');
$first = $first ?: @stream_socket_accept($server, 60);
say(stream_get_meta_data($server)['handshakes']['finished'] ?? 'not told');
if (!$first) {
    exit("not even then\n");
}

say('to each his own');
$other = showing($name, $two);
$second = @stream_socket_accept($server, 60);
say(captured($first), captured($second), captured($context));
ended($child, $other);

say('who is refused');
$child = showing($name, $own);
say(@stream_socket_accept($server, 0.5), preg_replace('/^.*: /', '', stream_get_meta_data($server)['handshakes']['failures'] ?? ['not told']));
ended($child);

foreach ([
    'a certificate of an authority from another' => [issue('authority.test', $root), $root],
    'one that is trusted itself, and not self-signed' => [$one, $one],
] as $kind => [$shown, $trusted]) {
    say($kind);
    [$server, $name] = listening(['cafile' => holding($trusted['text'])] + $server_options);
    $child = showing($name, $shown);
    say(is_resource(@stream_socket_accept($server, 0.5)));
    ended($child);
}
