<?php
// ours alone: PHP has had no fgetss since 8.0. Line by line and piece by piece it is to leave what
// strip_tags leaves of the whole text.
mt_srand(7);
$parts = ['<', '>', '"', "'", '<b>', '</b>', '<a href="x>y">', '<!--', '-->', '<?php', ' ?>', '?>',
    '<?xml', 'text', '<!DOCTYPE html>', 'e', 'l', '-', '!', '?', '(', ')', '\\', ' ', '/', '<br/>',
    '< ', '<p', "\n", "\r\n", "\0", '<B Class=x>', '< b>'];
$different = 0;
for ($round = 0; $round < 4000; $round++) {
    $text = '';
    for ($count = mt_rand(1, 30); $count > 0; $count--) {
        $text .= $parts[mt_rand(0, count($parts) - 1)];
    }
    foreach ([null, '<b><a>'] as $allowed) {
        $file = fopen('php://memory', 'w+');
        fwrite($file, $text);
        rewind($file);
        $length = mt_rand(0, 1) ? null : mt_rand(2, 6);
        $left = '';
        while (($line = fgetss($file, $length, $allowed)) !== false) {
            $left .= $line;
        }
        fclose($file);
        if ($left !== strip_tags($text, $allowed ?? '')) {
            $different++;
            echo json_encode([$text, $allowed, $length, $left]), "\n";
        }
    }
}
echo "$different differ\n";
try {
    fgetss(fopen('php://memory', 'r'), 0);
} catch (ValueError $error) {
    echo $error->getMessage(), "\n";
}
