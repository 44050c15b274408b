<?php
// Lists of ciphers of a server, in OpenSSL's words: which it agrees to, and which it likes best.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';

const SUITES = [
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES128-SHA',
];
$certificate = issue('localhost')['file'];

foreach ([
    'HIGH:!aNULL:!MD5',
    'DEFAULT',
    'ALL:!kRSA:+AES256',
    'HIGH:-AES128:!CHACHA20',
    'EECDH+AESGCM:EDH+AESGCM',
    'ECDHE+CHACHA20:ECDHE+AES128:!SHA1',
    'AES128 CHACHA20, AES256:@STRENGTH:!SHA',
    'AESGCM:@SECLEVEL=1',
    'CHACHA20:AES128@STRENGTH',
    'ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE+AES:!AESGCM',
    'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384@SECLEVEL=0',
    '!CHACHA20:CHACHA20:AES256+ECDSA',
    'aRSA',
    'kRSA',
    'NONE',
] as $list) {
    $agreed = [];
    // The last is one that is agreed to only where it was asked for by name.
    $offers = str_contains($list, 'SHA1') || str_contains($list, '!SHA') ? SUITES : array_slice(SUITES, 0, 3);
    foreach ([implode(':', array_slice(SUITES, 0, 3)), ...$offers] as $offered) {
        $old = ['max_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2];
        [$served] = shaken(['local_cert' => $certificate, 'ciphers' => $list] + $old, ['ciphers' => $offered]);
        $agreed[] = $served ? stream_get_meta_data($served)['crypto']['cipher_name'] : 'none';
    }
    say("-- $list", ...$agreed);
}

say('-- levels of security, and no tickets');
foreach ([['security_level' => 0], ['security_level' => 1, 'min_proto_version' => STREAM_CRYPTO_PROTO_TLSv1_2], ['security_level' => 2], ['security_level' => 3], ['no_ticket' => true]] as $options) {
    say(shaken(['local_cert' => $certificate] + $options, [])[0] !== null);
}
