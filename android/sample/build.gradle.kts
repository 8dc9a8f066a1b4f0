plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "dev.locket.sample"
    compileSdk = 36
    defaultConfig {
        applicationId = "dev.locket.sample"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.2.0"
    }
    buildTypes { release { isMinifyEnabled = true } }
    // A model is mapped, not unpacked.
    androidResources { noCompress += "gguf" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

kotlin { jvmToolchain(17) }

dependencies { implementation(project(":locket")) }
