<?php
// What servers of TLS ask of the certificates of their clients: both ends in one process, the
// server's end without waiting, so that who is refused is known at once.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

$root = issue('Root');
$middle = issue('Middle', $root);
$clients = [
    'nobody' => [],
    'direct' => ['local_cert' => issue('direct.test', $root, 'usr_cert')['file']],
    'deep' => ['local_cert' => issue('deep.test', $middle, 'usr_cert', [$middle])['file']],
    'own' => ['local_cert' => ($own = issue('own.test'))['file']],
    'stranger' => ['local_cert' => issue('stranger.test', issue('Another'), 'usr_cert')['file']],
];
$direct = openssl_x509_read(file_get_contents($clients['direct']['local_cert']));
$sum = fn (string $algorithm): string => openssl_x509_fingerprint($direct, $algorithm);
$folder = folder_of($root);
$trusted = ['cafile' => holding($root['text'])];
$with_own = ['cafile' => holding($own['text'])];
$verifying = $trusted + ['verify_peer' => true];

/** What a client that shows its certificate gets, and what the server has of it. */
function served(array $server_options, array $client_options): string
{
    $shown = ['capture_peer_cert' => true, 'capture_peer_cert_chain' => true];
    [$served] = shaken($server_options + $shown + serving_options(), $client_options);
    if (!$served) {
        return 'refused';
    }
    $options = stream_context_get_options($served)['ssl'];
    $certificate = $options['peer_certificate'] ?? null;
    $name = $certificate ? openssl_x509_parse($certificate)['subject']['CN'] : 'no certificate';
    return $name . ', and ' . count($options['peer_certificate_chain'] ?? []) . ' above';
}

function serving_options(): array
{
    static $own = null;
    return $own ??= ['local_cert' => issue('localhost')['file']];
}

foreach ([
    'an authority' => $trusted,
    'an authority, and to be verified' => $verifying,
    'not to be verified' => ['verify_peer' => false] + $trusted,
    'a folder' => ['capath' => $folder, 'verify_peer' => true],
    'no authority' => ['verify_peer' => true],
    'its own authority' => $with_own,
    'self-signed' => ['allow_self_signed' => true],
    'self-signed, and to be verified' => $verifying + ['allow_self_signed' => true],
    'depth of 0' => $verifying + ['verify_depth' => 0],
    'depth of 1' => $verifying + ['verify_depth' => 1],
    'depth of 2' => $verifying + ['verify_depth' => 2],
    'a name' => $verifying + ['verify_peer_name' => true, 'peer_name' => 'direct.test'],
    'a name, in capitals' => $trusted + ['verify_peer_name' => true, 'peer_name' => 'DEEP.test'],
    'any name' => $verifying + ['verify_peer_name' => true],
    'sha1' => $verifying + ['peer_fingerprint' => $sum('sha1')],
    'md5, without verification' => $trusted + ['peer_fingerprint' => strtoupper($sum('md5'))],
    'two sums' => $verifying + ['peer_fingerprint' => ['sha256' => $sum('sha256'), 'SHA1' => $sum('sha1')]],
    'two sums, one wrong' => $verifying + ['peer_fingerprint' => ['sha256' => $sum('sha256'), 'md5' => $sum('sha1')]],
    'a sum of another kind' => $verifying + ['peer_fingerprint' => ['sha3-256' => $sum('sha3-256')]],
    'a sum of no kind' => $verifying + ['peer_fingerprint' => $sum('sha256')],
    'a sum, but not to be verified' => ['verify_peer' => false, 'peer_fingerprint' => $sum('sha1')] + $trusted,
] as $name => $options) {
    say("-- $name");
    foreach ($clients as $who => $client_options) {
        say("$who: " . served($options, $client_options));
    }
}

say('-- options that change');
$server = stream_socket_server('tls://127.0.0.1:0', context: stream_context_create(['ssl' => serving_options()]));
$address = stream_socket_get_name($server, false);
$child = beside(function () use ($address) {
    for ($i = 0; $i < 2; $i++) {
        @stream_socket_client("tls://$address", $number, $text, 60, 4, careless());
    }
});
foreach ([[], ['verify_peer' => true, 'cafile' => '/nowhere']] as $options) {
    stream_context_set_params($server, ['options' => ['ssl' => $options]]);
    say(is_resource(@stream_socket_accept($server, 5)));
}
pcntl_waitpid($child, $status);
