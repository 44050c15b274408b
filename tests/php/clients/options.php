<?php
// Options of clients of TLS, by ext/openssl and by the library: both ends in one process, which say
// the same of each.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$middle = issue('Middle', $root);
$servers = [
    'direct' => issue('direct.test', $root, 'usr_cert'),
    'deep' => issue('deep.test', $middle, 'usr_cert', [$middle]),
    'own' => issue('own.test'),
    'wild' => issue('*.wild.test', $root, 'usr_cert'),
];
$direct = $servers['direct']['certificate'];
$sum = fn (string $algorithm): string => openssl_x509_fingerprint($direct, $algorithm);
$folder = folder_of($root);
$trusted = ['cafile' => holding($root['text'])];

/** Both ends, where TLS begins on a connection that is there; null and what either end said. */
function joined(array $server_options, array $client_options, int $method = STREAM_CRYPTO_METHOD_TLS_CLIENT): array
{
    $context = stream_context_create(['ssl' => $server_options]);
    $listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12, $context);
    $name = stream_socket_get_name($listener, false);
    $client = stream_socket_client("tcp://$name", context: stream_context_create(['ssl' => $client_options]));
    $served = stream_socket_accept($listener, 60);
    stream_set_blocking($client, false);
    stream_set_blocking($served, false);
    [$ours, $theirs] = [0, 0];
    while ($ours === 0 || $theirs === 0) {
        $theirs = $theirs === 0 ? @stream_socket_enable_crypto($client, true, $method) : $theirs;
        $ours = $ours === 0 ? @stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER) : $ours;
        if ($theirs === false) {
            fclose($client);
            return [null, null];
        }
    }
    return $ours ? [$client, $served] : [null, null];
}

/** What a client has of a server. */
function met(array $server, array $client_options): string
{
    $shown = ['capture_peer_cert' => true, 'capture_peer_cert_chain' => true];
    [$client] = joined(['local_cert' => $server['file']], $client_options + $shown);
    if (!$client) {
        return 'refused';
    }
    $options = stream_context_get_options($client)['ssl'];
    $name = openssl_x509_parse($options['peer_certificate'])['subject']['CN'];
    return $name . ' of ' . count($options['peer_certificate_chain']);
}

foreach ([
    'verified' => $trusted,
    'verified, and named' => $trusted + ['peer_name' => 'direct.test'],
    'verified, of any name' => $trusted + ['verify_peer_name' => false],
    'not verified' => ['verify_peer' => false, 'verify_peer_name' => false],
    'not verified, and named' => ['verify_peer' => false, 'peer_name' => 'DEEP.test'],
    'of a wild name' => $trusted + ['peer_name' => 'one.wild.test'],
    'of a wilder name' => $trusted + ['peer_name' => 'two.one.wild.test'],
    'by a folder' => ['capath' => $folder, 'verify_peer_name' => false],
    'by the system' => ['verify_peer_name' => false],
    'by itself' => ['cafile' => holding($servers['own']['text']), 'verify_peer_name' => false],
    'self-signed' => ['allow_self_signed' => true, 'verify_peer_name' => false],
    'self-signed, and named' => ['allow_self_signed' => true, 'peer_name' => 'own.test'],
    'depth of 1' => $trusted + ['verify_depth' => 1, 'verify_peer_name' => false],
    'sha1' => $trusted + ['peer_fingerprint' => $sum('sha1'), 'peer_name' => 'direct.test'],
    'sha256 alone' => ['peer_fingerprint' => ['sha256' => $sum('sha256')], 'verify_peer' => false, 'verify_peer_name' => false],
    'md5, but another' => ['peer_fingerprint' => md5(''), 'verify_peer' => false, 'verify_peer_name' => false],
    'sha3' => ['peer_fingerprint' => ['sha3-256' => $sum('sha3-256')], 'verify_peer' => false, 'verify_peer_name' => false],
    'no file' => ['cafile' => '/nowhere', 'verify_peer_name' => false],
    'a file that is none' => ['cafile' => __FILE__, 'verify_peer_name' => false],
    'a name that is none' => $trusted + ['peer_name' => 'no name'],
] as $name => $options) {
    say("-- $name");
    foreach ($servers as $which => $server) {
        say("$which: " . met($server, $options));
    }
}

say('-- names that are asked for');
$by_name = ['local_cert' => $servers['direct']['file'], 'SNI_server_certs' => ['deep.test' => $servers['deep']['file']]];
foreach ([[], ['SNI_enabled' => false]] as $options) {
    $shown = ['capture_peer_cert' => true, 'verify_peer_name' => false, 'peer_name' => 'deep.test'];
    [$client] = joined($by_name, $options + $trusted + $shown);
    say(openssl_x509_parse(stream_context_get_options($client)['ssl']['peer_certificate'])['subject']['CN']);
}

say('-- versions, ciphers and protocols');
$careless = ['verify_peer' => false, 'verify_peer_name' => false];
$old = ['max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2];
foreach ([
    [[], [], STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT],
    [[], [], STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT],
    [[], [], STREAM_CRYPTO_METHOD_SSLv23_CLIENT],
    [[], [], STREAM_CRYPTO_METHOD_ANY_CLIENT],
    [[], [], STREAM_CRYPTO_METHOD_TLSv1_1_CLIENT],
    [[], $old],
    [$old, [], STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT],
    [$old, ['min_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_3]],
    [$old, ['ciphers' => 'ECDHE+CHACHA20']],
    [$old + ['ciphers' => 'ECDHE-ECDSA-AES128-SHA'], ['ciphers' => 'ALL:@SECLEVEL=0']],
    [$old + ['ciphers' => 'ECDHE-ECDSA-AES256-SHA'], ['security_level' => 1]],
    [['alpn_protocols' => 'http/1.1,h2'], ['alpn_protocols' => 'h2,http/1.1']],
    [[], ['alpn_protocols' => 'h2']],
    [[], ['no_ticket' => true]],
    [['verify_peer' => true] + $trusted, ['local_cert' => $servers['direct']['file']]],
    [['verify_peer' => true] + $trusted, ['local_cert' => '/nowhere']],
] as $case) {
    [$server_options, $client_options, $method] = $case + [2 => STREAM_CRYPTO_METHOD_TLS_CLIENT];
    $server_options += ['local_cert' => $servers['direct']['file']];
    [$client, $served] = joined($server_options, $client_options + $careless, $method);
    $crypto = $client ? stream_get_meta_data($client)['crypto'] : ['none'];
    unset($crypto['session_reused']);
    if (!isset($client_options['ciphers'])) {
        // Of several that are as good, each end has its favourites.
        unset($crypto['cipher_name'], $crypto['cipher_bits'], $crypto['cipher_version']);
    }
    if ($client) {
        fwrite($client, "a line\n");
        stream_set_blocking($served, true);
        $crypto[] = fgets($served);
    }
    say($crypto);
}
