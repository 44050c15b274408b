<?php
// Servers behind a proxy: whose connection it is, is told by a header of the PROXY protocol.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

const V1 = "PROXY TCP4 192.0.2.1 203.0.113.7 4321 443\r\n";

/** A header of version 2: what is said of the family, and what follows. */
function v2(int $command, string $addresses): string
{
    return "\r\n\r\n\0\r\nQUIT\n" . chr(0x20 | $command) . ($command ? "\x21" : "\0") . pack('n', strlen($addresses))
        . $addresses;
}

function listen(array $proxy, string $address = 'tcp://127.0.0.1:0', array $more = []): mixed
{
    $context = stream_context_create(['proxy' => $proxy] + $more);
    return stream_socket_server($address, $number, $text, 12, $context);
}

/** A client that says this. */
function client(mixed $listener, string $words): mixed
{
    $client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
    fwrite($client, $words);
    return $client;
}

/** How many came to what, and why others failed. */
function handshakes(mixed $listener): array
{
    $told = stream_get_meta_data($listener)['handshakes'];
    return [$told['finished'], $told['failed'], $told['timed_out'],
        preg_replace(['~tcp://[\d.]+:\d+~', '/\d+ms/'], ['PEER', 'N'], $told['failures'])];
}

$trusting = ['protocol' => 'required', 'from' => ['10.0.0.0/8', '127.0.0.0/8'], 'timeout' => 5];
$listener = listen($trusting);
say(strstr(stream_socket_get_name($listener, false), ':', true));
$v6 = inet_pton('2001:db8::1') . inet_pton('2001:db8::2') . pack('nn', 1, 2) . "\x02\0\x0bexample.org";
foreach ([V1, "PROXY UNKNOWN\r\n", v2(1, $v6), v2(0, '')] as $header) {
    $client = client($listener, $header . "and this\n");
    $served = stream_socket_accept($listener, 60, $peer);
    $own = stream_socket_get_name($client, false);
    $told = stream_get_meta_data($served)['proxy'];
    $names = [$peer, stream_socket_get_name($served, true), stream_socket_get_name($served, false)];
    say(str_replace($own, 'CLIENT', $names), $told['proxy'] === $own, array_diff_key($told, ['proxy' => 0]));
    say(fgets($served));
}

// Nobody is held up by who is silent, cut short, too late or not believed.
$silent = client($listener, substr(V1, 0, 9));
client($listener, substr(V1, 0, 9));
$wrong = client($listener, "GET / HTTP/1.0\r\n\r\n");
say(await($listener, 0.05), @stream_socket_accept($listener, 0.05), handshakes($listener));
$honest = client($listener, V1);
say(await($listener), is_resource(stream_socket_accept($listener, 60)), stream_get_contents($wrong));
fwrite($silent, substr(V1, 9));
stream_socket_accept($listener, 60, $peer);
say($peer);
$impatient = listen(['timeout' => 0.05] + $trusting);
$late = client($impatient, 'PROXY');
say(@stream_socket_accept($impatient, 0.5), handshakes($impatient), stream_get_contents($late));
$strict = listen(['protocol' => 'required', 'from' => '192.0.2.0/24']);
$spoofed = client($strict, V1);
say(@stream_socket_accept($strict, 0.1), handshakes($strict), stream_get_contents($spoofed));

// Over TLS the header comes first, and the handshake goes on with what follows.
$ssl = ['local_cert' => certificate()];
$secure = listen($trusting, 'tls://127.0.0.1:0', ['ssl' => $ssl]);
$client = client($secure, V1);
stream_set_blocking($client, false);
stream_context_set_params($client, ['options' => ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]]);
do {
    $shaken = stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    $accepted = @stream_socket_accept($secure, 0.01, $peer) ?: ($accepted ?? null);
} while ($shaken === 0 || !$accepted);
fwrite($client, "secret\n");
say($peer, fgets($accepted), array_key_exists('crypto', stream_get_meta_data($accepted)));
$left = listen($trusting, 'tls://127.0.0.1:0', ['ssl' => $ssl + ['crypto_method' => 8]]);
client($left, V1);
say(stream_socket_accept($left, 0.1));
try {
    stream_socket_serve($left, fn () => stream_socket_serve_stop());
} catch (Error $error) {
    say($error->getMessage());
}
$client = client($listener, V1);
$served = stream_socket_accept($listener, 60);
$shaken = stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLSv1_0_SERVER);
say($shaken, stream_socket_get_name($served, true));

// In a Fiber for each connection.
$client = client($listener, V1 . "served\n");
stream_socket_serve($listener, function (mixed $served): void {
    say(stream_socket_get_name($served, true), fgets($served));
    stream_socket_serve_stop();
});

// Over udp before every datagram.
$context = stream_context_create(['proxy' => $trusting]);
$datagrams = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND, $context);
$proxy = stream_socket_client('udp://' . stream_socket_get_name($datagrams, false));
$ends = inet_pton('192.0.2.1') . inet_pton('203.0.113.7') . pack('nn', 4321, 53);
foreach (['question', 'and another'] as $question) {
    fwrite($proxy, $question);
    fwrite($proxy, str_replace("\x21\x21", "\x21\x12", v2(1, $ends)) . $question);
}
$served = stream_socket_accept($datagrams, 60, $peer);
say($peer, stream_socket_get_name($served, false), fread($served, 100), fread($served, 100));
say(stream_get_meta_data($served)['proxy']['client'], fwrite($served, 'answer'), fread($proxy, 100));

foreach ([['protocol' => 'maybe'], ['protocol' => 7], ['protocol' => 'required'], ['from' => '::/0'],
    ['protocol' => 'required', 'from' => ['10.0.0.0/33']], ['protocol' => 'required', 'from' => ['::/0', 5]]] as $wrong) {
    listen($wrong);
}
