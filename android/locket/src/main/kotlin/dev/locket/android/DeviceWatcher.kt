package dev.locket.android

import android.annotation.TargetApi
import android.content.BroadcastReceiver
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.content.res.Configuration
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import dev.locket.Locket
import dev.locket.ffi.MemoryLevel
import dev.locket.ffi.Power
import dev.locket.ffi.Thermal

/**
 * An observer that reports the device's memory, temperature and power to an engine until it is
 * closed.
 *
 * It releases memory when the system asks for it. The engine uses fewer threads on a warm device
 * and delays augmentation while the battery is low.
 */
public class DeviceWatcher(context: Context, private val locket: Locket) : AutoCloseable {
    private val app: Context = context.applicationContext
    private val manager: PowerManager? = app.getSystemService(PowerManager::class.java)

    @Volatile
    private var thermal = Thermal.NOMINAL

    @Volatile
    private var power = Power.CHARGING

    private val memory = object : ComponentCallbacks2 {
        override fun onTrimMemory(level: Int) {
            memoryLevel(level)?.let(locket::releaseMemory)
        }

        override fun onConfigurationChanged(configuration: Configuration) = Unit

        @Deprecated("Android calls it below level 14 only")
        override fun onLowMemory() = locket.releaseMemory(MemoryLevel.MODEL)
    }

    private val battery = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) {
            power = powerOf(intent)
            tell()
        }
    }

    private val heat: AutoCloseable?

    init {
        app.registerComponentCallbacks(memory)
        // The broadcast is a sticky one of the system, so registering returns the current state.
        app.registerReceiver(battery, IntentFilter(Intent.ACTION_BATTERY_CHANGED))?.let { power = powerOf(it) }
        heat = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) watchHeat() else null
        tell()
    }

    override fun close() {
        app.unregisterComponentCallbacks(memory)
        app.unregisterReceiver(battery)
        heat?.close()
    }

    private fun tell() = locket.setConditions(thermal, power)

    @TargetApi(Build.VERSION_CODES.Q)
    private fun watchHeat(): AutoCloseable? {
        val manager = manager ?: return null
        val listener = PowerManager.OnThermalStatusChangedListener { status ->
            thermal = thermalOf(status)
            tell()
        }
        thermal = thermalOf(manager.currentThermalStatus)
        manager.addThermalStatusListener(listener)
        return AutoCloseable { manager.removeThermalStatusListener(listener) }
    }

    private fun powerOf(battery: Intent): Power {
        val level = battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1)
        val scale = battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1)
        val plugged = battery.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0
        val low = level in 0..(scale * LOW_PERCENT / 100) || manager?.isPowerSaveMode == true
        return when {
            plugged -> Power.CHARGING
            low -> Power.LOW
            else -> Power.BATTERY
        }
    }

    internal companion object {
        private const val LOW_PERCENT = 20

        /** Returns the memory to release at a level of `onTrimMemory`, or `null` for none. */
        @Suppress("DEPRECATION") // Older systems still send these levels.
        fun memoryLevel(trim: Int): MemoryLevel? = when {
            trim >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND -> MemoryLevel.MODEL
            trim >= ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN -> MemoryLevel.KV
            trim >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL -> MemoryLevel.MODEL
            trim >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW -> MemoryLevel.KV
            trim >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE -> MemoryLevel.SESSIONS
            else -> null
        }

        /** Returns the engine's thermal level for a thermal status of `PowerManager`. */
        fun thermalOf(status: Int): Thermal = when {
            status >= PowerManager.THERMAL_STATUS_CRITICAL -> Thermal.CRITICAL
            status >= PowerManager.THERMAL_STATUS_SEVERE -> Thermal.SERIOUS
            status >= PowerManager.THERMAL_STATUS_LIGHT -> Thermal.FAIR
            else -> Thermal.NOMINAL
        }
    }
}
