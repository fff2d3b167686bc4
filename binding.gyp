{
  # native/build.mjs sets: `native_tests=1` (--tests) adds the C++ test program, `native_bench=1` (--bench) the native
  # loops of the benchmark, `strict_warnings=1` (in a checkout) makes errors of warnings. Two configurations are sanitized
  # twins: Debug checks addresses and undefined behaviour, any report ends the process; Thread looks for data races.
  'variables': { 'native_tests%': 0, 'native_bench%': 0, 'strict_warnings%': 0 },
  'target_defaults': {
    'include_dirs': ['native'],
    'cflags': ['-Wall', '-Wextra', '-Wshadow', '-Wno-unused-parameter',
      # GCC 12 sees an overlap in std::string's own code (its bug 105651).
      '-Wno-restrict',
      '-fvisibility=hidden', '-fPIC'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fexceptions'],
    'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti'],
    'conditions': [['strict_warnings==1', { 'cflags': ['-Werror'] }]],
    'configurations': {
      'Release': { 'cflags': ['-O3', '-g1'] },
      'Debug': {
        'cflags!': ['-O0'],
        'cflags': ['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
        'ldflags': ['-fsanitize=address,undefined'],
      },
      'Thread': {
        # The other builds warn; here GCC misjudges std::vector, and TSan the fences between atomics of the counters.
        'cflags': ['-w', '-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=thread'],
        'ldflags': ['-fsanitize=thread'],
      },
    },
  },
  'targets': [
    {
      'target_name': 'twill_core',
      'type': 'static_library',
      'sources': [
        '<!@(find native -name "*.cc" -not -path "native/binding/*" -not -path "native/test/*" | sort)',
      ],
    },
    {
      'target_name': 'twill',
      'dependencies': ['twill_core'],
      'sources': ['<!@(find native/binding -name "*.cc" | sort)'],
      # A system folder: its headers are not ours to warn about.
      'cflags': ['-isystem', '<!@(node -p "require(\'path\').resolve(require(\'node-addon-api\').include_dir)")'],
      # A worker that is terminated in the middle of a call can throw nothing any more.
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
    },
  ],
  'conditions': [
    ['native_tests==1', {
      'targets': [
        {
          'target_name': 'twill_native_tests',
          'type': 'executable',
          'dependencies': ['twill_core'],
          'sources': ['<!@(find test/native -name "*.cc" | sort)'],
          'include_dirs': ['test/native'],
          'ldflags': ['-pthread'],
          'defines': ['DOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS'],
        },
      ],
    }],
    ['native_bench==1', {
      'targets': [
        {
          'target_name': 'twill_bench',
          'type': 'executable',
          'dependencies': ['twill_core'],
          'include_dirs': ['.', 'test/native'],
          'sources': ['<!@(find bench -name "*.cc" -not -path "bench/lookup/*" | sort)'],
          'ldflags': ['-pthread'],
        },
        {
          'target_name': 'twill_bench_lookup',
          'type': 'executable',
          'dependencies': ['twill_core'],
          'sources': ['<!@(find bench/lookup -name "*.cc" | sort)'],
          'ldflags': ['-pthread'],
        },
      ],
    }],
  ],
}
